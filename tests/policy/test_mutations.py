"""The cases notice every wrong rule, and the page that says so is up to date."""

from __future__ import annotations

import pytest

from tests.policy.mutations import REPORT, Outcome, outcomes, report


@pytest.fixture(scope="module")
def mutated() -> list[Outcome]:
    return outcomes()


def test_every_wrong_rule_and_fold_makes_a_case_fail(mutated: list[Outcome]) -> None:
    assert mutated
    assert [(one.subsidy, one.rule, one.mutation) for one in mutated if not one.failing] == []


def test_the_page_is_up_to_date(mutated: list[Outcome]) -> None:
    assert REPORT.read_text(encoding="utf-8") == report(mutated), "run `python -m tests.policy.mutations`"

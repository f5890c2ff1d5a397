"""The cases notice every wrong rule, and the page that says so is up to date."""

from __future__ import annotations

from tests.policy.mutations import REPORT, outcomes, report


def test_every_rule_dropped_flipped_or_made_to_pause_makes_a_case_fail() -> None:
    survivors = [(one.subsidy, one.rule, one.mutation) for one in outcomes() if not one.failing]
    assert survivors == []


def test_the_page_is_up_to_date() -> None:
    assert REPORT.read_text(encoding="utf-8") == report(), "run `python -m tests.policy.mutations`"

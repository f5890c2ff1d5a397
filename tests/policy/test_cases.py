from __future__ import annotations

import pytest

from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.determination import Decision, Determination
from services.eligibility.policy.parameters import shipped
from tests.policy.cases import Case, read_cases

CASES = read_cases()


def _check(case: Case, decisions: dict[Subsidy, Decision]) -> None:
    assert {subsidy: decision.amount_fen for subsidy, decision in decisions.items()} == case.expect
    for subsidy, decision in decisions.items():
        failed = [reason.rule for reason in decision.reasons if reason.outcome == "fail"]
        assert decision.eligible is (case.expect[subsidy] > 0)
        assert decision.eligible is not bool(failed), failed
        assert all(reason.citation and reason.detail for reason in decision.reasons)
        if subsidy in case.unmet:
            assert case.unmet[subsidy] in failed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_by_itself(case: Case) -> None:
    judged = Determination([case.facts], shipped(), since=case.period)
    _check(case, {subsidy: judged.decision(0, subsidy, case.period, case.area) for subsidy in SUBSIDIES})


def test_all_cases_as_one_batch_are_judged_as_each_by_itself() -> None:
    judged = Determination([case.facts for case in CASES], shipped(), since=min(case.period for case in CASES))
    for position, case in enumerate(CASES):
        decisions = {s: judged.decision(position, s, case.period, case.area) for s in SUBSIDIES}
        _check(case, decisions)
        alone = Determination([case.facts], shipped(), since=case.period)
        for subsidy in SUBSIDIES:
            assert judged.schedule(position, subsidy) == alone.schedule(0, subsidy), case.name


def test_there_are_cases_enough() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)

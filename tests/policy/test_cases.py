from __future__ import annotations

import pytest

from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.determination import Decision, Determination
from tests.policy.cases import Case, decisions_of, read_cases

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
        if case.compared:
            told = decision.comparison.model_dump(mode="json") if decision.comparison else {}
            expected = case.compared.get(subsidy, {})
            assert bool(told) is bool(expected)
            assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_by_itself(case: Case) -> None:
    judged = Determination([case.facts], case.policy, since=case.period)
    _check(case, decisions_of(case, judged))


def test_all_cases_of_a_policy_as_one_batch_are_judged_as_each_by_itself() -> None:
    for policy in {id(case.policy): case.policy for case in CASES}.values():
        cases = [case for case in CASES if case.policy is policy]
        judged = Determination([case.facts for case in cases], policy, since=min(case.period for case in cases))
        for position, case in enumerate(cases):
            _check(case, decisions_of(case, judged, position))
            alone = Determination([case.facts], policy, since=case.period)
            for subsidy in SUBSIDIES:
                assert judged.schedule(position, subsidy) == alone.schedule(0, subsidy), case.name


def test_there_are_cases_enough() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)

"""Reasons that a person can act on: what failed, by which clause, and what would change it."""

from __future__ import annotations

import re

import pytest

from libs.common.period import Period
from libs.common.vocabulary import in_chinese
from services.eligibility.assessments import AssessedDecision
from services.eligibility.determination import Determination
from services.eligibility.policy.parameters import shipped
from services.eligibility.policy.remedies import REMEDIES
from services.eligibility.policy.rules import RULES
from tests.policy.cases import Case, decisions_of, read_cases

_CHINESE_AND_ENGLISH = re.compile(r"[\u4e00-\u9fff].*\([ -~]+\)")


def decisions(case: Case) -> list[AssessedDecision]:
    judged = Determination([case.facts], case.policy, since=case.period)
    return [AssessedDecision.of(decision) for decision in decisions_of(case, judged).values()]


def test_every_rule_says_in_chinese_and_english_what_holds_and_what_would_change_it() -> None:
    for rule in {rule.name: rule for rules in RULES.values() for rule in rules}.values():
        for words in (rule.met, rule.unmet, REMEDIES[rule.name]):
            assert _CHINESE_AND_ENGLISH.search(words), (rule.name, words)
            assert not re.search("[A-Za-z]", in_chinese(words)), (rule.name, words)
        assert not re.search("[A-Za-z]", in_chinese(rule.citation)), rule.citation
        assert rule.citation.startswith(("notice ", "国发〔2015〕52号"))


def test_no_clause_number_is_cited_of_a_document_that_is_not_at_hand() -> None:
    for rules in RULES.values():
        for rule in rules:
            assert "国发" not in rule.citation or "条款待核" in rule.citation
    for held in shipped().layers:
        for parameter in held.parameters:
            if parameter.source.startswith("国发"):
                assert "条款待核" in parameter.clause


@pytest.mark.parametrize("case", read_cases(), ids=lambda case: case.name)
def test_each_failure_says_what_would_change_it_and_no_success_does(case: Case) -> None:
    for decision in decisions(case):
        failed = [reason for reason in decision.reasons if reason.outcome == "fail"]
        assert [reason.would_change for reason in failed] == decision.would_change
        assert all(reason.would_change is None for reason in decision.reasons if reason.outcome != "fail")
        assert bool(decision.would_change) is not decision.eligible


def test_following_what_would_change_it_does() -> None:
    """Out of scope by economic status, the person enters dibao and applies: the next month is payable."""
    [refused] = [
        case for case in read_cases() if case.name == "the dibao-borderline is not in scope unless the area widens"
    ]
    living = decisions(refused)[0]
    assert REMEDIES["economic_status"] in living.would_change
    after = Period.parse("2026-04")
    facts = refused.facts
    entered = type(facts.low_income[0])("dibao", after.first_day)
    applied = type(facts.applications[0])("living", after.first_day)
    changed = type(facts)(
        applications=(applied,), certificates=facts.certificates, low_income=(entered,), residences=facts.residences
    )
    judged = Determination([changed], shipped(), since=after)
    assert judged.decision(0, "living", after, refused.area).eligible

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from libs.common.errors import FourEyes, InvalidInput
from libs.common.events.eligibility import Reason, SubsidyDecision
from libs.common.events.intake import (
    ApplicationFacts,
    BenefitChoice,
    CertificateClaim,
    Component,
    LowIncomeClaim,
)
from libs.common.vocabulary import STAGES, Stage, Subsidy
from services.intake.applications import (
    Application,
    ConfirmedCertificate,
    ConfirmedLowIncome,
    Opinion,
    complete,
    decide,
    reopen,
    review,
    submitted,
    withdraw,
)
from services.intake.errors import AlreadyClosed, NotReturned, NotUnderReview, OutOfOrder, StageOfAnotherRole
from services.intake.parameters import AreaParameters

MONDAY = date(2026, 3, 2)
DEADLINES = AreaParameters("530102").deadlines(MONDAY)
FACTS = ApplicationFacts(
    certificate=CertificateClaim(category="physical", level=1),
    low_income=LowIncomeClaim(category="dibao", from_=date(2024, 1, 1)),
    residence_area="530102",
)


def application(facts: ApplicationFacts = FACTS) -> Application:
    return submitted(
        uuid4(),
        "p1-x",
        area="530102",
        channel="online",
        subsidies=("living", "care"),
        applied_on=date(2026, 2, 27),
        facts=facts,
        on=MONDAY,
        deadlines=DEADLINES,
    )


def opinion(stage: Stage, outcome: str = "approve", **more: object) -> Opinion:
    return Opinion.model_validate({"stage": stage, "outcome": outcome, **more})


def reviewed(before: Application, given: Opinion, *, on: date = MONDAY, sub: str | None = None) -> Application:
    return review(before, given, sub=sub or given.stage, role=given.stage, on=on, deadlines=DEADLINES)


def approved_by_all(before: Application, *, on: date = MONDAY) -> Application:
    for stage in STAGES:
        before = reviewed(before, opinion(stage), on=on)
    return before


def decision(subsidy: Subsidy, eligible: bool) -> SubsidyDecision:
    reasons = tuple(
        Reason(rule=f"{subsidy} {outcome}", outcome=outcome, citation="国发〔2015〕52号", detail="")
        for outcome in (("pass", "not_applicable") if eligible else ("pass", "fail"))
    )
    return SubsidyDecision(subsidy=subsidy, eligible=eligible, reasons=reasons)


def test_each_stage_has_its_working_days() -> None:
    """3 for the township, 3 for the federation, 4 for civil affairs, from when it became theirs."""
    new = application()
    assert (new.stage, new.due_on) == ("township", date(2026, 3, 5))
    with_federation = reviewed(new, opinion("township"), on=date(2026, 3, 4))
    assert (with_federation.stage, with_federation.due_on) == ("cdpf", date(2026, 3, 9))
    with_civil_affairs = reviewed(with_federation, opinion("cdpf"), on=date(2026, 3, 6))
    assert (with_civil_affairs.stage, with_civil_affairs.due_on) == ("civil_affairs", date(2026, 3, 12))


def test_after_its_last_day_a_stage_is_overdue() -> None:
    new = application()
    assert new.due_on is not None
    assert not new.is_overdue(new.due_on)
    assert new.is_overdue(new.due_on + timedelta(days=1))
    returned = reviewed(new, opinion("township", "return", reason="缺材料"))
    assert not returned.is_overdue(date(2027, 1, 1)), "an applicant is not an office"


def test_after_three_approvals_it_awaits_the_assessment() -> None:
    waiting = approved_by_all(application())
    assert waiting.awaits_assessment
    assert waiting.facts.confirmed == STAGES
    assert waiting.version == 4


@pytest.mark.parametrize("stage", ["cdpf", "civil_affairs"])
def test_no_stage_comes_before_its_turn(stage: Stage) -> None:
    with pytest.raises(OutOfOrder):
        reviewed(application(), opinion(stage))


def test_a_stage_is_not_reviewed_twice() -> None:
    with pytest.raises(OutOfOrder):
        reviewed(reviewed(application(), opinion("township")), opinion("township"), sub="another")


def test_an_office_reviews_no_other_s_stage() -> None:
    with pytest.raises(StageOfAnotherRole):
        review(application(), opinion("township"), sub="x", role="cdpf", on=MONDAY, deadlines=DEADLINES)


def test_three_stages_are_three_persons() -> None:
    once = reviewed(application(), opinion("township"), sub="one")
    with pytest.raises(FourEyes):
        reviewed(once, opinion("cdpf"), sub="one")
    twice = reviewed(once, opinion("cdpf"), sub="two")
    for sub in ("one", "two"):
        with pytest.raises(FourEyes):
            reviewed(twice, opinion("civil_affairs"), sub=sub)


@pytest.mark.parametrize("outcome", ["return", "reject"])
@pytest.mark.parametrize("reason", [None, "", "  "])
def test_no_return_and_no_rejection_without_a_reason(outcome: str, reason: str | None) -> None:
    with pytest.raises(InvalidInput):
        reviewed(application(), opinion("township", outcome, reason=reason))


def test_nothing_happens_to_a_decided_application() -> None:
    rejected = reviewed(application(), opinion("township", "reject", reason="户籍不符"))
    assert (rejected.status, rejected.stage, rejected.decided_on) == ("rejected", None, MONDAY)
    with pytest.raises(NotUnderReview):
        reviewed(rejected, opinion("township"))
    with pytest.raises(NotReturned):
        complete(rejected, on=MONDAY, deadlines=DEADLINES)
    with pytest.raises(AlreadyClosed):
        withdraw(rejected, reason=None, on=MONDAY)


def test_while_it_awaits_the_assessment_no_office_has_a_say() -> None:
    with pytest.raises(NotUnderReview):
        reviewed(approved_by_all(application()), opinion("civil_affairs"))


def test_completed_on_the_last_day_it_keeps_its_date_and_a_day_later_it_does_not() -> None:
    with_federation = reviewed(application(), opinion("township"))
    returned = reviewed(with_federation, opinion("cdpf", "return", reason="证件照片不清"))
    assert returned.due_on == date(2026, 3, 30), "20 working days"
    in_time = complete(returned, on=returned.due_on, deadlines=DEADLINES)
    assert (in_time.status, in_time.stage, in_time.accrues_from) == ("in_review", "cdpf", date(2026, 2, 27))
    late = complete(returned, on=date(2026, 3, 31), deadlines=DEADLINES)
    assert late.accrues_from == date(2026, 3, 31)
    assert late.applied_on == date(2026, 2, 27)


def test_a_choice_signed_at_completion_takes_the_place_of_the_one_before() -> None:
    before = BenefitChoice(kind="elderly_care", keep="other", signed_on=MONDAY)
    other = BenefitChoice(kind="other_care", keep="ours", signed_on=MONDAY)
    after = BenefitChoice(kind="elderly_care", keep="ours", signed_on=MONDAY)
    new = application(FACTS.model_copy(update={"choices": (before, other)}))
    returned = reviewed(new, opinion("township", "return", reason="择高声明"))
    assert complete(returned, choices=[after], on=MONDAY, deadlines=DEADLINES).facts.choices == (other, after)


def test_the_federation_corrects_the_certificate_and_civil_affairs_the_income() -> None:
    before = reviewed(application(), opinion("township"))
    certificate = ConfirmedCertificate(category="mental", level=2, issued_on=date(2020, 5, 1))
    corrected = reviewed(before, Opinion(stage="cdpf", outcome="approve", certificate=certificate))
    assert corrected.facts.certificate == CertificateClaim(category="mental", level=2, issued_on=date(2020, 5, 1))
    none = Opinion(stage="civil_affairs", outcome="approve", low_income=ConfirmedLowIncome(category="none"))
    assert reviewed(corrected, none).facts.low_income is None


def test_components_stay_with_a_multiple_certificate_unless_corrected() -> None:
    parts = (Component(category="mental", level=2), Component(category="vision", level=3))
    declared = CertificateClaim(category="multiple", level=2, components=parts)
    before = reviewed(application(FACTS.model_copy(update={"certificate": declared})), opinion("township"))
    kept = opinion("cdpf", certificate={"category": "multiple", "level": 2})
    assert reviewed(before, kept).facts.certificate == declared
    single = opinion("cdpf", certificate={"category": "mental", "level": 2})
    assert reviewed(before, single).facts.certificate == CertificateClaim(category="mental", level=2)


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("township", {"certificate": {"category": "mental", "level": 2}}),
        ("township", {"low_income": {"category": "dibao"}}),
        (
            "cdpf",
            {"certificate": {"category": "mental", "level": 2, "issued_on": "2026-01-02", "expires_on": "2026-01-01"}},
        ),
        (
            "cdpf",
            {"certificate": {"category": "mental", "level": 2, "components": [{"category": "vision", "level": 2}]}},
        ),
    ],
)
def test_nobody_confirms_what_is_not_theirs_or_cannot_be(stage: Stage, more: dict[str, Any]) -> None:
    before = application() if stage == "township" else reviewed(application(), opinion("township"))
    with pytest.raises(InvalidInput):
        reviewed(before, opinion(stage, **more))


def test_payable_in_one_subsidy_it_is_approved_as_of_the_last_review() -> None:
    waiting = approved_by_all(application(), on=date(2026, 3, 6))
    decisions = [decision("living", False), decision("care", True)]
    approved = decide(waiting, decisions, on=date(2026, 3, 9), deadlines=DEADLINES)
    assert (approved.status, approved.granted, approved.decided_on) == ("approved", ("care",), date(2026, 3, 6))
    assert [(item.subsidy, [r.rule for r in item.reasons]) for item in approved.refused] == [
        ("living", ["living fail"])
    ]


def test_a_subsidy_that_was_not_applied_for_is_never_granted() -> None:
    waiting = replace(approved_by_all(application()), subsidies=("care",))
    back = decide(waiting, [decision("living", True), decision("care", False)], on=MONDAY, deadlines=DEADLINES)
    assert (back.status, back.stage, back.granted) == ("in_review", "civil_affairs", ())


def test_payable_in_none_it_is_civil_affairs_turn_again() -> None:
    waiting = approved_by_all(application())
    back = decide(waiting, [decision("living", False), decision("care", False)], on=MONDAY, deadlines=DEADLINES)
    assert (back.stage, back.due_on) == ("civil_affairs", date(2026, 3, 6))
    assert {item.subsidy for item in back.refused} == {"living", "care"}
    assert reviewed(back, opinion("civil_affairs")).awaits_assessment


@pytest.mark.parametrize("stages", [0, 1, 2, 3])
def test_it_can_be_withdrawn_at_any_time(stages: int) -> None:
    before = application()
    for stage in STAGES[:stages]:
        before = reviewed(before, opinion(stage))
    withdrawn = withdraw(before, reason="搬家", on=MONDAY)
    assert (withdrawn.status, withdrawn.stage, withdrawn.withdrawn_on) == ("withdrawn", None, MONDAY)


def test_a_rejection_that_does_not_stand_is_reviewed_again_where_it_was() -> None:
    with_federation = reviewed(application(), opinion("township"))
    rejected = reviewed(with_federation, opinion("cdpf", "reject", reason="证件无效"))
    again = reopen(rejected, on=date(2026, 3, 9), deadlines=DEADLINES)
    assert (again.status, again.stage, again.due_on) == ("in_review", "cdpf", date(2026, 3, 12))
    assert again.accrues_from == date(2026, 2, 27)
    with pytest.raises(NotUnderReview):
        reopen(again, on=MONDAY, deadlines=DEADLINES)

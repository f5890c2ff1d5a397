from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.eligibility.facts import BEGINNING, Benefit, Certificate, Custody, LowIncome, Residence, Transfer
from services.eligibility.folding import Assertion, fold

_KNOWN = datetime(2026, 1, 1, tzinfo=UTC)
ISSUE: dict[str, Any] = {"category": "physical", "level": 2, "components": [], "expires_on": "2030-04-30"}


def said(what: str, on: date, /, known: int = 0, rank: int = 10, name: int = 0, **data: Any) -> Assertion:
    fact_id = str(UUID(int=name or random.getrandbits(64)))
    return Assertion(fact_id, what, on, _KNOWN + timedelta(days=known), rank, data)


def test_an_exit_clips_the_interval_on_the_day_before_it() -> None:
    entered = said("low_income.entered", date(2024, 1, 1), category="dibao")
    exited = said("low_income.exited", date(2026, 6, 11))
    assert fold([entered, exited]).low_income == (LowIncome("dibao", date(2024, 1, 1), date(2026, 6, 10)),)


def test_an_exit_known_before_the_entry_clips_it_too() -> None:
    exited = said("low_income.exited", date(2026, 6, 11), known=0)
    entered = said("low_income.entered", date(2024, 1, 1), known=9, category="dibao")
    assert fold([exited, entered]).low_income == (LowIncome("dibao", date(2024, 1, 1), date(2026, 6, 10)),)


def test_entering_another_status_of_the_family_leaves_the_one_before() -> None:
    facts = fold(
        [
            said("low_income.entered", date(2024, 1, 1), category="dibao"),
            said("low_income.entered", date(2026, 7, 15), category="tekun"),
            said("low_income.entered", date(2025, 1, 1), category="monitored"),
        ]
    )
    assert set(facts.low_income) == {
        LowIncome("dibao", date(2024, 1, 1), date(2026, 7, 14)),
        LowIncome("tekun", date(2026, 7, 15)),
        LowIncome("monitored", date(2025, 1, 1)),
    }


def test_leaving_one_status_does_not_leave_another() -> None:
    entered = said("low_income.entered", date(2024, 1, 1), category="borderline")
    exited = said("low_income.exited", date(2025, 1, 1), category="dibao")
    assert fold([entered, exited]).low_income == (LowIncome("borderline", date(2024, 1, 1)),)


def test_a_reassessment_without_a_day_of_expiry_keeps_the_one_that_is_still_to_come() -> None:
    issued = said("certificate.issued", date(2020, 5, 1), **ISSUE)
    severe = {**ISSUE, "level": 1, "expires_on": None}
    in_time = said("certificate.reassessed", date(2026, 3, 10), **severe)
    assert fold([issued, in_time]).certificates == (
        Certificate("physical", 2, "valid", date(2020, 5, 1), date(2026, 3, 9), ()),
        Certificate("physical", 1, "valid", date(2026, 3, 10), date(2030, 4, 30), ()),
    )
    too_late = said("certificate.reassessed", date(2031, 3, 10), **severe)
    assert fold([issued, too_late]).certificates[-1] == Certificate("physical", 1, "valid", date(2031, 3, 10), None, ())


def test_of_two_that_say_the_same_day_the_later_known_counts() -> None:
    first = said("low_income.entered", date(2024, 1, 1), known=0, category="borderline")
    later = said("low_income.entered", date(2024, 1, 1), known=1, category="dibao")
    assert fold([later, first]).low_income == (LowIncome("dibao", date(2024, 1, 1)),)


def test_of_two_known_at_the_same_moment_the_higher_rank_counts() -> None:
    low = said("certificate.issued", date(2020, 5, 1), rank=10, **{**ISSUE, "level": 1})
    high = said("certificate.issued", date(2020, 5, 1), rank=50, **ISSUE)
    for order in ([low, high], [high, low]):
        assert [held.level for held in fold(order).certificates] == [2]


def test_a_freeze_and_its_end_restore_the_certificate_to_its_own_last_day() -> None:
    facts = fold(
        [
            said("certificate.issued", date(2020, 5, 1), **ISSUE),
            said("certificate.frozen", date(2026, 3, 10)),
            said("certificate.unfrozen", date(2026, 5, 20)),
        ]
    )
    assert facts.certificates == (
        Certificate("physical", 2, "valid", date(2020, 5, 1), date(2026, 3, 9)),
        Certificate("physical", 2, "frozen", date(2026, 3, 10), date(2026, 5, 19)),
        Certificate("physical", 2, "valid", date(2026, 5, 20), date(2030, 4, 30)),
    )


def test_unfrozen_after_its_last_day_a_certificate_is_not_valid_again() -> None:
    facts = fold(
        [
            said("certificate.issued", date(2020, 5, 1), **ISSUE),
            said("certificate.frozen", date(2026, 3, 10)),
            said("certificate.unfrozen", date(2031, 5, 20)),
        ]
    )
    assert [held.status for held in facts.certificates] == ["valid", "frozen"]


def test_a_change_of_a_certificate_nobody_knows_says_nothing() -> None:
    assert fold([said("certificate.expired", date(2026, 3, 10))]).certificates == ()


def test_in_transit_is_told_from_moved_out() -> None:
    issue = said("certificate.issued", date(2020, 5, 1), **ISSUE)
    away = said("certificate.moved_out", date(2026, 3, 10))
    under_way = said("certificate.moved_out", date(2026, 3, 10), in_transit=True)
    assert fold([issue, away]).certificates[-1].status == "moved_out"
    assert fold([issue, under_way]).certificates[-1].status == "in_transit"


def test_residence_before_a_first_move_is_where_it_came_from() -> None:
    moved = said("person.moved", date(2026, 8, 12), to_area="530103", from_area="530102", accepted_on="2026-09-01")
    facts = fold([moved])
    assert facts.residences == (
        Residence("530102", BEGINNING, date(2026, 8, 11)),
        Residence("530103", date(2026, 8, 12)),
    )
    assert facts.transfers == (Transfer("530103", date(2026, 9, 1)),)


def test_where_an_applicant_lives_holds_since_ever_unless_something_earlier_is_known() -> None:
    seen = said("residence.observed", date(2026, 3, 10), area="530102001")
    assert fold([seen]).residences == (Residence("530102001", BEGINNING),)
    moved = said("person.moved", date(2026, 8, 12), to_area="530103")
    assert fold([seen, moved]).residences == (
        Residence("530102001", BEGINNING, date(2026, 8, 11)),
        Residence("530103", date(2026, 8, 12)),
    )


def test_benefits_run_side_by_side_and_end_each_by_itself() -> None:
    facts = fold(
        [
            said("benefit.started", date(2025, 1, 1), kind="elderly_care", amount_fen=8000),
            said("benefit.started", date(2025, 2, 1), kind="old_age", amount_fen=5000, until="2025-12-31"),
            said("benefit.ended", date(2026, 5, 1), kind="elderly_care"),
        ]
    )
    assert facts.benefits == (
        Benefit("elderly_care", date(2025, 1, 1), date(2026, 4, 30), 8000),
        Benefit("old_age", date(2025, 2, 1), date(2025, 12, 31), 5000),
    )


def test_detention_becomes_imprisonment_becomes_release() -> None:
    facts = fold(
        [
            said("person.imprisoned", date(2026, 1, 1), kind="detained"),
            said("person.imprisoned", date(2026, 3, 1), kind="serving"),
            said("person.released", date(2026, 9, 1)),
        ]
    )
    assert facts.custody == (
        Custody("detained", date(2026, 1, 1), date(2026, 2, 28)),
        Custody("serving", date(2026, 3, 1), date(2026, 8, 31)),
    )


def test_a_retracted_retraction_leaves_the_fact_standing() -> None:
    died = said("person.died", date(2026, 2, 1), name=1)
    retraction = said("fact.retracted", date(2026, 2, 1), known=1, name=2, retracts=died.fact_id)
    again = said("fact.retracted", date(2026, 2, 1), known=2, name=3, retracts=retraction.fact_id)
    assert fold([died]).life
    assert not fold([died, retraction]).life
    assert fold([died, retraction, again]).life


def test_a_later_assessment_of_need_holds_from_its_day() -> None:
    first = said("care_need.assessed", date(2025, 3, 10), needed=True)
    later = said("care_need.assessed", date(2026, 3, 10), needed=False)
    needs = fold([first, later]).care_needs
    assert [(need.needed, need.from_, need.to) for need in needs] == [
        (True, BEGINNING, date(2026, 3, 9)),
        (False, date(2026, 3, 10), None),
    ]


_days = st.integers(0, 60).map(lambda n: date(2026, 1, 1) + timedelta(days=n))
_texts: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.sampled_from(
    [
        ("certificate.issued", ISSUE),
        ("certificate.reassessed", {**ISSUE, "level": 1}),
        ("certificate.frozen", {}),
        ("certificate.unfrozen", {}),
        ("certificate.expired", {}),
        ("low_income.entered", {"category": "dibao"}),
        ("low_income.entered", {"category": "tekun", "until": "2026-02-10"}),
        ("low_income.exited", {}),
        ("person.moved", {"to_area": "530103", "from_area": "530102"}),
        ("residence.observed", {"area": "530111"}),
        ("benefit.started", {"kind": "orphan", "amount_fen": 1}),
        ("benefit.ended", {"kind": "orphan"}),
        ("person.imprisoned", {"kind": "serving"}),
        ("person.released", {}),
        ("person.missing", {}),
        ("person.reappeared", {}),
        ("care_need.assessed", {"needed": False}),
    ]
)


@st.composite
def _histories(draw: st.DrawFn) -> list[Assertion]:
    made = []
    for number in range(draw(st.integers(1, 10))):
        kind, data = draw(_texts)
        known = _KNOWN + timedelta(days=draw(st.integers(0, 3)))
        made.append(Assertion(str(UUID(int=number + 1)), kind, draw(_days), known, draw(st.integers(0, 2)), data))
    for number in draw(st.sets(st.integers(1, 12), max_size=3)):
        known = _KNOWN + timedelta(days=draw(st.integers(0, 3)))
        retracts = {"retracts": str(UUID(int=number))}
        made.append(Assertion(str(UUID(int=100 + number)), "fact.retracted", draw(_days), known, 0, retracts))
    return made


@settings(max_examples=300, deadline=None)
@given(_histories(), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_fold_to_the_same(history: list[Assertion], chance: random.Random) -> None:
    heard = history + chance.choices(history, k=len(history))
    chance.shuffle(heard)
    assert fold(heard) == fold(history)


@settings(max_examples=200, deadline=None)
@given(_histories())
def test_intervals_of_one_line_never_overlap_and_never_end_before_they_begin(history: list[Assertion]) -> None:
    facts = fold(history)
    lines: list[tuple[Any, ...]] = [facts.certificates, facts.residences, facts.custody, facts.care_needs]
    for line in lines:
        for held in line:
            assert held.to is None or held.from_ <= held.to
        for before, after in pairwise(line):
            assert before.to is not None
            assert before.to < after.from_

"""The rules over columns give, for any life, month for month what the plain rules give."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES
from services.eligibility.determination import Determination
from services.eligibility.facts import (
    BEGINNING,
    Application,
    Benefit,
    CareNeed,
    Certificate,
    Custody,
    Facts,
    Life,
    LowIncome,
    Residence,
    Transfer,
)
from services.eligibility.policy.parameters import shipped
from services.eligibility.schedules import Schedule
from tests.policy import naive

LAST = (2027, 12)

# Few days, close to the ends of months, so that things touch.
days = st.builds(
    lambda months, day: Period(2025, 6).plus(months).first_day + timedelta(days=day),
    st.integers(0, 22),
    st.sampled_from([-1, 0, 1, 14]),
)


@st.composite
def intervals(draw: st.DrawFn, make: Any, values: st.SearchStrategy[Any], most: int) -> tuple[Any, ...]:
    """Up to `most` intervals, in order and apart, the last perhaps open."""
    cuts = sorted(draw(st.sets(days, min_size=0, max_size=2 * most)))
    made = []
    for begin, end in zip(cuts[::2], cuts[1::2], strict=False):
        made.append(make(draw(values), begin, end))
    if len(cuts) % 2:
        made.append(make(draw(values), cuts[-1], None))
    return tuple(made)


def _certificate(value: tuple[Any, int, Any], begin: date, end: date | None) -> Certificate:
    return Certificate(value[0], value[1], value[2], begin, end)


_certificates = st.tuples(
    st.sampled_from(["physical", "mental"]),
    st.integers(1, 4),
    st.sampled_from(["valid", "valid", "valid", "expired", "frozen", "in_transit", "moved_out", "cancelled"]),
)
_BENEFITS = ["orphan", "unattended_child_part", "elderly_care", "old_age", "work_injury_care", "other_living"]
_areas = st.sampled_from(["530102", "530102001", "530102002", "530103", "510104"])


@st.composite
def applications(draw: st.DrawFn) -> Application:
    applied_on = draw(days)
    decided_on = draw(st.none() | st.integers(0, 90).map(lambda n: applied_on + timedelta(days=n)))
    withdrawn_on = draw(st.none() | st.none() | st.integers(0, 400).map(lambda n: applied_on + timedelta(days=n)))
    return Application(draw(st.sampled_from(SUBSIDIES)), applied_on, decided_on, withdrawn_on)


@st.composite
def residences(draw: st.DrawFn) -> tuple[Residence, ...]:
    moves = sorted(draw(st.sets(days, max_size=3)))
    starts = [BEGINNING, *moves]
    ends = [*(move - timedelta(days=1) for move in moves), None]
    areas = ["530102", *(draw(_areas) for _ in moves)]
    return tuple(Residence(*stay) for stay in zip(areas, starts, ends, strict=True))


_PLAIN = {
    "applications": (Application("living", date(2025, 6, 10)), Application("care", date(2025, 6, 10))),
    "certificates": (Certificate("physical", 1, "valid", date(2020, 5, 1)),),
    "low_income": (LowIncome("dibao", date(2020, 1, 1)),),
    "residences": (Residence("530102", BEGINNING),),
}
"""Somebody who has both subsidies for ever, unless something happens."""

_APPLIED_ON = date(2025, 6, 10)


def _gap(at: tuple[date, int]) -> dict[str, Any]:
    """A certificate that expires and is renewed so many days later."""
    expired, after = at
    renewed = expired + timedelta(days=after + 1)
    return {
        "certificates": (
            Certificate("physical", 2, "valid", date(2020, 5, 1), expired),
            Certificate("physical", 1, "valid", renewed),
        )
    }


def _wait(given: tuple[str, int, int]) -> dict[str, Any]:
    """An application that meets another benefit, which ends, and is decided so many days later."""
    kind, ends, decided = given
    benefit: Any = Benefit(kind, date(2025, 1, 1), _APPLIED_ON + timedelta(days=ends))  # type: ignore[arg-type]
    decided_on = _APPLIED_ON + timedelta(days=decided)
    return {
        "benefits": (benefit,),
        "applications": tuple(Application(subsidy, _APPLIED_ON, decided_on) for subsidy in SUBSIDIES),
    }


def _return(transfers: list[Transfer]) -> dict[str, Any]:
    """Away, back, and away again, with some of the moves accepted."""
    moves = [BEGINNING, date(2025, 9, 12), date(2026, 2, 1), date(2026, 9, 15)]
    ends = [*(move - timedelta(days=1) for move in moves[1:]), None]
    areas = ["530102", "530103", "530102", "530103"]
    return {
        "residences": tuple(Residence(*stay) for stay in zip(areas, moves, ends, strict=True)),
        "transfers": (Transfer("530103", date(2025, 10, 1)), *transfers),
    }


_HAPPENINGS: dict[str, st.SearchStrategy[Any]] = {
    "applications": st.lists(applications(), min_size=1, max_size=3).map(tuple),
    "certificates": intervals(_certificate, _certificates, 3),
    "low_income": intervals(LowIncome, st.sampled_from(["dibao", "dibao", "borderline", "tekun"]), 3),
    "moves": st.tuples(
        residences(),
        st.lists(st.builds(Transfer, st.sampled_from(["530103", "530102"]), days), max_size=2).map(tuple),
    ),
    "benefits": intervals(Benefit, st.sampled_from(_BENEFITS), 2),
    "custody": intervals(Custody, st.sampled_from(["serving", "detained", "detention_serving"]), 2),
    "life": st.lists(
        st.builds(Life, st.sampled_from(["died", "declared_dead", "declared_missing", "missing", "reappeared"]), days),
        min_size=1,
        max_size=3,
    ).map(tuple),
    "care_needs": intervals(CareNeed, st.booleans(), 2),
    "gap": st.tuples(days, st.integers(0, 460)).map(_gap),
    "wait": st.tuples(st.sampled_from(_BENEFITS), st.integers(0, 250), st.integers(0, 250)).map(_wait),
    "return": st.lists(st.builds(Transfer, st.sampled_from(["530103", "530102"]), days), max_size=3).map(_return),
}


@st.composite
def lives(draw: st.DrawFn) -> Facts:
    """A plain life to which one to three kinds of things happen."""
    known: dict[str, Any] = dict(_PLAIN)
    for kind in sorted(draw(st.sets(st.sampled_from(sorted(_HAPPENINGS)), min_size=1, max_size=3))):
        happened = draw(_HAPPENINGS[kind])
        if kind == "moves":
            known["residences"], known["transfers"] = happened
        elif kind in ("gap", "wait", "return"):
            known.update(happened)
        else:
            known[kind] = happened
    return Facts(**known)


def _months(schedule: Schedule) -> dict[naive.Month, tuple[int, str, int]]:
    found = {}
    for entry in schedule.entitlements:
        until = min(entry.to or Period(*LAST), Period(*LAST))
        for period in entry.from_.through(until):
            found[period.year, period.month] = (entry.amount_fen, entry.area, entry.level)
    return found


@settings(max_examples=300, deadline=None)
@given(lives())
def test_a_schedule_is_what_the_plain_rules_give_day_by_day(facts: Facts) -> None:
    judged = Determination([facts], shipped())
    for subsidy in SUBSIDIES:
        assert _months(judged.schedule(0, subsidy)) == naive.payable(facts, subsidy, LAST)


@settings(max_examples=40, deadline=None)
@given(st.lists(lives(), min_size=2, max_size=8))
def test_a_batch_gives_what_each_person_gives_alone(persons: list[Facts]) -> None:
    judged = Determination(persons, shipped())
    for position, facts in enumerate(persons):
        for subsidy in SUBSIDIES:
            assert judged.schedule(position, subsidy) == Determination([facts], shipped()).schedule(0, subsidy)


@settings(max_examples=60, deadline=None)
@given(lives(), st.integers(0, 30))
def test_a_month_is_eligible_exactly_when_no_reason_fails(facts: Facts, offset: int) -> None:
    period = Period(2025, 6).plus(offset)
    judged = Determination([facts], shipped(), since=period)
    for subsidy in SUBSIDIES:
        decision = judged.decision(0, subsidy, period, "53")
        paid = naive.payable(facts, subsidy, LAST).get((period.year, period.month))
        assert decision.eligible is (paid is not None)
        assert decision.amount_fen == (paid[0] if paid else 0)
        assert decision.eligible is all(reason.outcome != "fail" for reason in decision.reasons)

"""Recipients who are taken over: what was paid elsewhere is in the books, and is not paid again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from functools import partial
from uuid import UUID, uuid4

import pytest

from libs.common.events.intake import (
    CertificateClaim,
    ContactChanged,
    GrantedApplication,
    PaidMonths,
    RecipientsTakenOver,
    RosterImported,
    TakenOver,
    contact_place,
    payee_place,
)
from libs.common.period import Period
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import Person, World, world


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


async def opened(here: World, person: Person, *spans: tuple[str, str, int]) -> None:
    """The person is taken over, with what was paid elsewhere."""
    await portion_told(here, recipient(here, person, *spans))


async def portion_told(here: World, *recipients: TakenOver) -> None:
    told = RecipientsTakenOver(version=1, import_id=uuid4(), portion=str(uuid4()), recipients=recipients)
    await here.tell("intake", told, bulk=True)


def recipient(here: World, person: Person, *spans: tuple[str, str, int]) -> TakenOver:
    approved = GrantedApplication(
        application_id=uuid4(),
        version=2,
        applied_on=date(2025, 9, 1),
        granted=("living",),
        certificate=CertificateClaim(category="physical", level=1),
    )
    contact = ContactChanged(
        person_id=person.person_id,
        version=1,
        area=person.area,
        name=here.sealer.seal("阿依·买买提", *contact_place(person.person_id, "name")),
    )
    paid = tuple(
        PaidMonths.model_validate({"from": first, "to": last, "amount_fen": amount_fen})
        for first, last, amount_fen in spans
    )
    return TakenOver(
        person_id=person.person_id,
        area=person.area,
        applications=(approved,),
        payee=person.payee(person.account, partial(payee_place, person.person_id)),
        contact=contact,
        paid={"living": paid} if paid else {},
    )


async def taken_over(here: World, area: str, import_id: UUID, status: str) -> None:
    version = 1 if status == "started" else 2
    told = RosterImported(import_id=import_id, version=version, area=area, status=status)  # type: ignore[arg-type]
    await here.tell("intake", told, bulk=status == "finished")


async def months_paid(person: Person) -> list[tuple[str, int]]:
    return [(payment["period"], payment["amount_fen"]) for payment in await person.payments()]


async def test_exactly_the_months_that_were_not_paid_elsewhere_are_paid(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    # 2025-10 was paid in part, 2025-12 not at all.
    await opened(here, person, ("2025-09", "2025-09", 10_000), ("2025-10", "2025-10", 6_000))
    await opened(here, person, ("2025-11", "2025-11", 10_000), ("2026-01", "2026-02", 10_000))
    await here.heard()
    await here.invariants_hold()  # nobody is entitled yet, and nothing is claimed back for it
    assert (await here.get(f"/v1/recoveries?person_id={person.person_id}"))["items"] == []

    await person.entitled("2025-09")
    await here.heard()
    await here.paid(area, "2026-03")
    assert await months_paid(person) == [("2025-10", 4_000), ("2025-12", 10_000), ("2026-03", 10_000)]
    assert (await person.account_of("2026-01"))["paid_fen"] == 10_000
    await here.invariants_hold()


async def test_what_was_paid_elsewhere_beyond_the_entitlement_is_claimed_in_either_order(here: World) -> None:
    area = here.county()
    for opening_first in (True, False):
        person = await here.person(area)
        if opening_first:
            await opened(here, person, ("2025-11", "2026-02", 10_000))
            await here.heard()
        await person.entitled("2025-11", "2025-12", stopped_because="certificate")
        await here.heard()
        if not opening_first:
            await opened(here, person, ("2025-11", "2026-02", 10_000))
            await here.heard()
        [case] = (await here.get(f"/v1/recoveries?person_id={person.person_id}"))["items"]
        assert (case["cause"], case["amount_fen"]) == ("certificate", 20_000)
        assert [month["period"] for month in case["months"] if month["amount_fen"]] == ["2026-01", "2026-02"]
    await here.invariants_hold()


async def test_a_month_is_entered_once_whoever_tells_it(here: World) -> None:
    area = here.county()
    person = await here.person(area)
    await opened(here, person, ("2025-11", "2026-01", 9_000))
    await here.heard()
    await opened(here, person, ("2025-10", "2026-02", 10_000))
    await here.heard()
    found = await here.sql(
        "SELECT period::text, amount_fen FROM opening_months WHERE person_id = :id ORDER BY period", id=person.person_id
    )
    assert [row["amount_fen"] for row in found] == [10_000, 9_000, 9_000, 9_000, 10_000]
    booked = await here.sql(
        "SELECT book_year, sum(amount_fen)::bigint AS fen FROM postings WHERE cause = 'opening' AND book_area = :area"
        " GROUP BY 1 ORDER BY 1",
        area=area,
    )
    assert [(row["book_year"], row["fen"]) for row in booked] == [(2025, 28_000), (2026, 19_000)]
    await here.invariants_hold()


async def test_a_portion_that_cannot_be_taken_in_holds_everybody_on_it_and_nobody_else(here: World) -> None:
    area = here.county()
    first, second, other = [await here.person(area) for _ in range(3)]
    for person in (first, second, other):
        await person.entitled("2026-01")
    too_much = recipient(here, second, ("2026-01", "2026-01", 10**30))
    await portion_told(here, recipient(here, first, ("2026-01", "2026-01", 10_000)), too_much)
    await portion_told(here, recipient(here, other))
    await here.heard()
    assert [(await person.account_of("2026-01"))["held_by"] for person in (first, second)] == ["event_unread"] * 2
    assert (await other.account_of("2026-01"))["held_fen"] == 0
    await here.sql("UPDATE dead_letters SET resolved_at = now() RETURNING 1")


async def test_no_cycle_is_drawn_up_over_a_roster_that_is_being_taken_over(here: World) -> None:
    area, import_id = here.county(), uuid4()
    person = await here.person(area)
    await person.entitled("2026-01")
    await taken_over(here, area, import_id, "started")
    await here.heard()
    for refused_area in (area, area[:4]):
        answer = await here.call("POST", "/v1/cycles", "civil_affairs", area=refused_area, period="2026-01")
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (409, "roster-under-takeover")
    await here.drawn_up(here.county(), "2026-01")

    await taken_over(here, area, import_id, "finished")

    async def may_be_drawn_up() -> bool:
        answer = await here.call("POST", "/v1/cycles", "civil_affairs", area=area, period="2026-01")
        return answer.status_code == 201

    await eventually(may_be_drawn_up)


async def test_a_month_paid_elsewhere_may_be_disallowed_by_decision(here: World) -> None:
    person = await here.person(here.county())
    await opened(here, person, ("2026-01", "2026-01", 10_000))
    await person.entitled("2026-01")
    await here.heard()
    case = await here.post(
        "/v1/recoveries",
        "civil_affairs",
        person_id=person.person_id,
        subsidy="living",
        cause="fraud",
        source="tip_off",
        reason="举报核实：隐瞒收入",
        months=[{"period": "2026-01", "amount_fen": 4_000}],
    )
    assert (case["cause"], case["amount_fen"]) == ("fraud", 4_000)
    assert Period.parse(case["months"][0]["period"]) == Period(2026, 1)
    await here.invariants_hold()

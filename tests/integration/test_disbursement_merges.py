"""A corrected resident ID merges two persons: what was paid, held and claimed under one id counts for the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.common.events.eligibility import EntitledMonths, EntitlementChanged
from libs.common.period import Period
from tests.conftest import Databases, Issuer
from tests.integration.disbursement import HEIR, Person, World, world
from tests.integration.test_disbursement_takeover import opened


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


def emptied(wrong: Person, right: Person) -> EntitlementChanged:
    wrong.version += 1
    return EntitlementChanged(
        person_id=wrong.person_id,
        version=wrong.version,
        subsidy="living",
        schedule=(),
        cause="person.merged",
        stopped_because="person.merged",
        area=wrong.area,
        merged_into=right.person_id,
    )


def taken_on(wrong: Person, right: Person, first: str) -> EntitlementChanged:
    right.version += 1
    months = EntitledMonths(
        from_=Period.parse(first), to=None, amount_fen=10_000, area=right.area, level=1, policy_version="test",
        cause="person.merged",
    )  # fmt: skip
    return EntitlementChanged(
        person_id=right.person_id,
        version=right.version,
        subsidy="living",
        schedule=(months,),
        cause="person.merged",
        area=right.area,
        members=(wrong.person_id,),
    )


async def paid_under_the_wrong_id(here: World, area: str) -> Person:
    """Two months, settled."""
    await here.funded(area)
    wrong = await here.person(area)
    await wrong.entitled("2026-01")
    await here.heard()
    await here.paid(area, "2026-02")
    assert [payment["status"] for payment in await wrong.payments()] == ["settled", "settled"]
    return wrong


@pytest.mark.parametrize("first", ["the wrong id", "the right id", "both at once"])
async def test_what_was_paid_under_the_wrong_id_is_not_owed_again(here: World, first: str) -> None:
    area = here.county()
    wrong = await paid_under_the_wrong_id(here, area)
    right = await here.person(area)
    events = [emptied(wrong, right), taken_on(wrong, right, "2026-01")]
    for event in reversed(events) if first == "the right id" else events:
        await here.tell("eligibility", event)
        if first != "both at once":
            await here.heard()
            between = await here.drawn_up(area, "2026-02")
            assert between["counts"]["payable"] == 0
    await here.heard()

    assert [payment["amount_fen"] for payment in await right.payments()] == [10_000, 10_000]
    assert await wrong.payments() == []
    for period in ("2026-01", "2026-02"):
        month = await right.account_of(period)
        assert (month["paid_fen"], month["owed_fen"], month["overpaid_fen"]) == (10_000, 0, 0)
    for person in (wrong, right):
        assert (await here.get(f"/v1/recoveries?person_id={person.person_id}"))["items"] == []

    cycle = await here.paid(area, "2026-03")
    assert (cycle["counts"]["payable"], cycle["amount_fen"]) == (1, 10_000)
    assert len(await here.transfers_to(right.account)) == 1
    await here.invariants_hold()


async def test_an_old_schedule_of_the_wrong_id_that_comes_late_pays_nobody(here: World) -> None:
    area = here.county()
    wrong = await paid_under_the_wrong_id(here, area)
    right = await here.person(area)
    await here.tell("eligibility", taken_on(wrong, right, "2026-01"))
    await here.heard()
    await wrong.entitled("2026-01")
    await here.heard()
    assert (await here.drawn_up(area, "2026-02"))["counts"]["payable"] == 0
    await here.invariants_hold()


async def test_what_is_held_stays_held_and_an_attempt_that_failed_keeps_its_number(here: World) -> None:
    area = here.county()
    wrong = await paid_under_the_wrong_id(here, area)
    right = await here.person(area)
    finding_id = uuid4()
    await wrong.suspected("open", finding_id=finding_id, hold_from="2026-03", kind="person.imprisoned")
    await here.tell("eligibility", taken_on(wrong, right, "2026-01"))
    await here.heard()
    cycle = await here.drawn_up(area, "2026-03")
    assert (cycle["counts"]["payable"], cycle["counts"]["held"]) == (0, 1)
    numbers = [(payment["period"], payment["attempt"]) for payment in await right.payments()]
    assert numbers == [("2026-01", 1), ("2026-02", 1)]


async def test_who_was_paid_and_claimed_from_under_both_ids_owes_what_one_person_got_twice(here: World) -> None:
    area = here.county()
    await here.funded(area)
    wrong, right = await here.person(area), await here.person(area)
    for person in (wrong, right):
        await opened(here, person, ("2025-12", "2025-12", 10_000))
        await person.entitled("2025-12")
    await here.heard()
    await here.paid(area, "2026-02")
    for person in (wrong, right):
        await here.post(
            "/v1/recoveries",
            "civil_affairs",
            person_id=person.person_id,
            subsidy="living",
            cause="fraud",
            reason="举报核实",
            months=[{"period": "2026-01", "amount_fen": 4_000}],
        )
    await here.tell("eligibility", emptied(wrong, right))
    await here.tell("eligibility", taken_on(wrong, right, "2025-12"))
    await here.heard()
    assert await here.sql("SELECT * FROM dead_letters") == []
    cases = (await here.get(f"/v1/recoveries?person_id={right.person_id}"))["items"]
    claimed = Counter[str]()
    for month in (month for case in cases for month in case["months"]):
        claimed[month["period"]] += month["amount_fen"]
    assert claimed == {"2025-12": 10_000, "2026-01": 14_000, "2026-02": 10_000}
    await here.invariants_hold()


@pytest.mark.parametrize("sent", [False, True])
async def test_a_month_drawn_up_under_both_ids_is_paid_once_and_paid_under_both_is_claimed_once(
    here: World, sent: bool
) -> None:
    area = here.county()
    await here.funded(area)
    wrong, right = await here.person(area), await here.person(area)
    for person in (wrong, right):
        await person.entitled("2026-01", "2026-01")
    await here.heard()
    cycle = await here.approved(area, "2026-01")
    assert cycle["counts"]["payable"] == 2
    path = f"/v1/cycles/{cycle['cycle_id']}"
    if sent:
        await here.post(f"{path}/submission", "finance")
        await here.cycle_is(cycle["cycle_id"], "closed")
    for event in (emptied(wrong, right), taken_on(wrong, right, "2026-01")):
        await here.tell("eligibility", event)
    await here.heard()
    if not sent:
        await here.post(f"{path}/submission", "finance")
        await here.cycle_is(cycle["cycle_id"], "closed")
    assert await here.sql("SELECT * FROM dead_letters") == []
    month = await right.account_of("2026-01")
    assert (month["paid_fen"], month["overpaid_fen"]) == ((20_000, 10_000) if sent else (10_000, 0))
    claims = (await here.get(f"/v1/recoveries?person_id={right.person_id}"))["items"]
    assert [claim["amount_fen"] for claim in claims] == ([10_000] if sent else [])
    accounts = (await here.get(f"/v1/persons/{right.person_id}/ledger"))["balances"]
    assert [book["balances"] for book in accounts] == [
        {"paid_fen": 10_000, "receivable_fen": 10_000} if sent else {"paid_fen": 10_000}
    ]
    await here.invariants_hold()


async def test_months_paid_elsewhere_change_whose_they_are_and_nothing_else(here: World) -> None:
    async with here.database.transaction() as tx:
        await tx.connection.execute(
            text(
                "INSERT INTO openings VALUES ('p1-old', 'living', '[2025-01-01,2025-03-01)', 10000, '530102', :id, :id,"
                " now(), 'p1-old')"
            ),
            {"id": uuid4()},
        )
        await tx.connection.execute(text("UPDATE openings SET person_id = 'p1-new' WHERE person_id = 'p1-old'"))
    for statement in ("UPDATE openings SET amount_fen = 1", "DELETE FROM openings"):
        with pytest.raises(Exception, match="append-only"):
            async with here.database.transaction() as tx:
                await tx.connection.execute(text(statement))


async def test_a_child_of_an_institution_under_both_ids_is_one_child(here: World) -> None:
    area, org = here.county(), "12530100MB0000009W"
    await here.funded(area)
    wrong, right = await here.person(area), await here.person(area)
    for child in (wrong, right):
        await child.paid_to("6222020000000905", holder="institution", cannot_act=True, org_code=org)
    await wrong.entitled("2026-01", "2026-02")
    await here.heard()
    await here.paid(area, "2026-02")
    for event in (emptied(wrong, right), taken_on(wrong, right, "2026-01")):
        await here.tell("eligibility", event)
    await here.heard()
    [funds] = (await here.get(f"/v1/institutions/{org}/funds"))["items"]
    assert (funds["person_id"], funds["received_fen"]) == (right.person_id, 20_000)


async def test_an_heir_of_the_wrong_id_is_paid_what_is_due_under_the_right_one(here: World) -> None:
    area = here.county()
    await here.funded(area)
    wrong, right = await here.person(area), await here.person(area)
    await wrong.entitled("2026-03", "2026-03", died_on=date(2026, 3, 9), to_heir=True)
    await here.heard()
    await here.heir_approved(wrong, HEIR)

    await here.tell("eligibility", emptied(wrong, right))
    await right.entitled("2026-03", "2026-03", cause="person.merged", died_on=date(2026, 3, 9), to_heir=True)
    await here.heard()
    await here.paid(area, "2026-03")
    [transfer] = await here.transfers_to(HEIR["number"])
    assert (transfer["amount_fen"], transfer["payee_name"]) == (10_000, HEIR["name"])
    assert (await right.account_of("2026-03"))["paid_fen"] == 10_000

"""Stops: holds, reductions that race a cycle, overpayments and their recovery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.common.clock import business_today
from libs.common.database import Database, rows
from libs.common.events.eligibility import PolicyReevaluated
from libs.common.events.envelope import read_data, read_envelope
from libs.common.period import Period
from libs.common.projection import Projection, Received
from services.disbursement.subscriptions import subscriptions
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import Person, World, world


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


async def entitled_person(here: World, since: str = "2026-03") -> Person:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled(since)
    await here.heard()
    return person


async def test_a_finding_holds_the_months_after_the_alleged_event_and_no_others(here: World) -> None:
    person = await entitled_person(here, since="2026-01")
    await person.suspected("open", finding_id=uuid4(), hold_from="2026-03")
    await here.heard()
    cycle = await here.paid(person.area, "2026-04")
    assert (cycle["counts"]["payable"], cycle["counts"]["held"]) == (2, 2)
    assert [p["period"] for p in await person.payments()] == ["2026-01", "2026-02"]
    month = await person.account_of("2026-03")
    assert (month["held_fen"], month["owed_fen"], month["held_by"]) == (10_000, 0, "person.died")
    await here.invariants_hold()


async def test_who_draws_up_over_an_overdue_finding_decides_to_hold_on_and_nobody_else_waits(here: World) -> None:
    area, this_month = here.county(), Period.of(business_today())
    await here.funded(area, year=this_month.previous.year)
    await here.funded(area, year=this_month.year)
    late, in_time, beyond_doubt = [await here.person(area) for _ in "123"]
    for person in (late, in_time, beyond_doubt):
        await person.entitled(str(this_month))
    overdue = uuid4()
    await late.suspected("open", finding_id=overdue, hold_from=str(this_month.previous))
    await in_time.suspected("open", finding_id=uuid4(), hold_from=str(this_month))  # due on its last day
    await here.heard()
    cycle = await here.drawn_up(area, str(this_month), overdue_reason="家属已联系，下周入户")
    counts = cycle["counts"]
    assert (counts["payable"], counts["held"], counts["overdue"]) == (1, 2, 1)
    held = (await here.get(f"/v1/cycles/{cycle['cycle_id']}/items?outcome=held"))["items"]
    assert {item["person_id"]: item["overdue"] for item in held} == {late.person_id: True, in_time.person_id: False}
    deeds = (await here.get(f"/v1/audit-log?person_id={late.person_id}"))["items"]
    (kept,) = [deed for deed in deeds if deed["action"] == "keep overdue hold"]
    assert (kept["object"], kept["reason"], kept["sub"]) == (str(overdue), "家属已联系，下周入户", cycle["created_by"])
    paid = await here.paid(area, str(this_month))
    assert paid["counts"]["settled"] == 1
    assert await late.payments() == await in_time.payments() == [], "time alone releases nobody"


async def test_what_a_dismissed_finding_held_is_paid(here: World) -> None:
    person, finding_id = await entitled_person(here), uuid4()
    await person.suspected("open", finding_id=finding_id, hold_from="2026-03")
    await here.heard()
    assert (await here.drawn_up(person.area, "2026-03"))["counts"]["held"] == 1
    await person.suspected("dismissed", finding_id=finding_id, hold_from="2026-03", version=2)
    await here.heard()
    await here.paid(person.area, "2026-03")
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000


async def test_leaving_dibao_holds_the_living_subsidy_alone(here: World) -> None:
    person = await entitled_person(here)
    await person.entitled("2026-03", subsidy="care")
    await person.suspected("open", finding_id=uuid4(), hold_from="2026-03", kind="low_income.exited")
    await here.heard()
    await here.paid(person.area, "2026-03")
    assert [p["subsidy"] for p in await person.payments()] == ["care"]


async def test_a_confirmed_finding_holds_until_eligibility_has_answered_it(here: World) -> None:
    """Whatever eligibility concluded from what it knew at the confirmation has arrived before the hold lifts."""
    person, finding_id = await entitled_person(here), uuid4()
    await person.suspected("confirmed", finding_id=finding_id, hold_from="2026-03")

    async def lifted() -> Any:
        read = "SELECT min(until) FROM watermarks WHERE topic = 'liangbu.eligibility'"
        sql = f"SELECT told_at, lifted_at, ({read}) AS until FROM findings WHERE finding_id = :id"
        found = await here.sql(sql, id=finding_id)
        return found if found and found[0]["lifted_at"] else None

    [finding] = await eventually(lifted)
    assert finding["until"] > finding["told_at"]


async def test_a_confirmed_finding_holds_as_long_as_eligibility_is_silent(here: World) -> None:
    person, finding_id = await entitled_person(here), uuid4()
    async with here.database.transaction() as tx:  # as if eligibility had said nothing for a long time
        await tx.connection.execute(text("UPDATE watermarks SET until = NULL WHERE topic = 'liangbu.eligibility'"))
        await tx.connection.execute(
            text(
                "INSERT INTO findings SELECT :id, :person, 1, 'person.died', '{living,care}', :area, 'confirmed',"
                " DATE '2026-03-01', DATE '2026-03-31', now() + interval '1 hour', NULL"
            ),
            {"id": finding_id, "person": person.person_id, "area": person.area},
        )
    assert (await here.drawn_up(person.area, "2026-03"))["counts"]["held"] == 1


async def test_an_event_that_could_not_be_taken_in_holds_its_person_and_nobody_else(here: World) -> None:
    person, other = await entitled_person(here), await here.person("539901")
    await other.entitled("2026-03")
    broken = f'{{"subject": "{person.person_id}"}}'.encode()
    async with here.database.transaction() as tx:
        await tx.connection.execute(
            text(
                'INSERT INTO dead_letters (projection, topic, partition, "offset", event_id, body, reason)'
                " VALUES ('disbursement', 'liangbu.eligibility', 0, 0, :id, :body, 'test')"
            ),
            {"id": uuid4(), "body": broken},
        )
    await here.heard()
    assert (await person.account_of("2026-03"))["held_by"] == "event_unread"
    assert (await other.account_of("2026-03"))["held_fen"] == 0
    await here.sql("UPDATE dead_letters SET resolved_at = now() RETURNING 1")


async def test_submission_drops_what_was_stopped_meanwhile_and_never_adds(here: World) -> None:
    area = here.county()
    await here.funded(area)
    stopped, reduced, held, moved, fine, late = [await here.person(area) for _ in range(6)]
    for person in (stopped, reduced, held, moved, fine):
        await person.entitled("2026-03")
    await here.heard()
    cycle = await here.approved(area, "2026-03")
    await stopped.entitled("2026-03", "2026-02", cause="certificate.expired", stopped_because="certificate.expired")
    await reduced.entitled("2026-03", amount_fen=9_000)
    await held.suspected("open", finding_id=uuid4(), hold_from="2026-03")
    await moved.paid_to(None)
    await late.entitled("2026-03")
    await here.post(f"/v1/cycles/{cycle['cycle_id']}/submission", "finance")
    closed = await here.cycle_is(cycle["cycle_id"], "closed")
    assert (closed["counts"]["settled"], closed["counts"]["dropped"]) == (1, 4)
    items = (await here.get(f"/v1/cycles/{cycle['cycle_id']}/items?outcome=dropped"))["items"]
    assert {item["person_id"]: item["reason"] for item in items} == {
        stopped.person_id: "reduced",
        reduced.person_id: "reduced",
        held.person_id: "person.died",
        moved.person_id: "no_payee",
    }
    assert [p["status"] for p in await fine.payments()] == ["settled"]
    following = await here.paid(area, "2026-03")
    assert following["counts"]["payable"] == 2
    assert [p["amount_fen"] for p in await reduced.payments()] == [9_000]
    assert [p["amount_fen"] for p in await late.payments()] == [10_000]
    await here.invariants_hold()


async def test_months_paid_too_much_become_a_recovery_of_exactly_these_months(here: World) -> None:
    person = await entitled_person(here, since="2026-01")
    await here.paid(person.area, "2026-04")
    await person.entitled("2026-01", "2026-02", cause="person.died", stopped_because="person.died")
    await here.heard()
    [case] = (await here.get(f"/v1/recoveries?area={person.area}"))["items"]
    assert [(month["period"], month["amount_fen"]) for month in case["months"]] == [
        ("2026-03", 10_000),
        ("2026-04", 10_000),
    ]
    assert (case["cause"], case["amount_fen"], case["status"]) == ("person.died", 20_000, "open")
    assert (await person.account_of("2026-04"))["overpaid_fen"] == 10_000
    told = await here.sql("SELECT type FROM outbox WHERE key = :key AND type LIKE 'recovery%'", key=person.person_id)
    assert [row["type"] for row in told] == ["recovery.opened.v1"]
    await here.invariants_hold()

    await here.post(f"/v1/recoveries/{case['recovery_id']}/plan", "civil_affairs", note="分两次退回")
    path = f"/v1/recoveries/{case['recovery_id']}"
    repaid = await here.post(f"{path}/repayments", "finance", amount_fen=12_000, document_no="缴款书1")
    assert (repaid["recovered_fen"], repaid["outstanding_fen"]) == (12_000, 8_000)
    twice = await here.call("POST", f"{path}/repayments", "finance", amount_fen=12_000, document_no="缴款书1")
    assert twice.status_code == 409
    more = await here.call("POST", f"{path}/repayments", "finance", amount_fen=8_001, document_no="缴款书2")
    assert more.status_code == 409

    await here.post(f"{path}/write-off", "finance", sub="one", reason="已无偿还能力")
    assert (await here.call("POST", f"{path}/write-off/approval", "finance", sub="one")).status_code == 403
    closed = await here.post(f"{path}/write-off/approval", "finance", sub="two")
    assert (closed["status"], closed["written_off_fen"]) == ("closed", 8_000)
    [book] = [
        b for b in (await here.get(f"/v1/appropriations?area={person.area}"))["items"] if b["subsidy"] == "living"
    ]
    balances = {name: fen for name, fen in book["balances"].items() if fen}
    assert balances == {
        "appropriated_fen": 10**9,
        "available_fen": 10**9 - 40_000,
        "paid_fen": 20_000,
        "refunded_fen": 12_000,
        "written_off_fen": 8_000,
    }
    await here.invariants_hold()


async def test_a_claim_falls_away_when_the_fact_is_retracted(here: World) -> None:
    person = await entitled_person(here, since="2026-01")
    await here.paid(person.area, "2026-02")
    await person.entitled("2026-01", "2026-01", cause="person.declared_dead", stopped_because="person.declared_dead")
    await here.heard()
    await person.entitled("2026-01", cause="fact.retracted")
    await here.heard()
    [case] = (await here.get(f"/v1/recoveries?area={person.area}"))["items"]
    assert (case["status"], case["outstanding_fen"]) == ("closed", 0)
    month = await person.account_of("2026-02")
    assert (month["paid_fen"], month["overpaid_fen"], month["owed_fen"]) == (10_000, 0, 0)
    await here.invariants_hold()


async def test_what_was_repaid_is_owed_again_when_the_fact_is_retracted(here: World) -> None:
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    await person.entitled("2026-03", "2026-02", cause="person.died", stopped_because="person.died")
    await here.heard()
    [case] = (await here.get(f"/v1/recoveries?area={person.area}"))["items"]
    await here.post(f"/v1/recoveries/{case['recovery_id']}/repayments", "finance", amount_fen=10_000, document_no="1")
    await person.entitled("2026-03", cause="fact.retracted")
    await here.heard()
    assert (await person.account_of("2026-03"))["owed_fen"] == 10_000
    await here.paid(person.area, "2026-03")
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    await here.invariants_hold()


async def test_a_payment_that_settles_after_the_stop_is_claimed_back(here: World) -> None:
    person = await entitled_person(here)
    await here.bank.post("/v1/faults", json={"drop_webhook_rate": 1})
    cycle = await here.submitted(person.area, "2026-03")

    async def is_sent() -> bool:
        return [p["status"] for p in await person.payments()] == ["sent"]

    await eventually(is_sent)
    await person.entitled("2026-03", "2026-02", cause="person.died", stopped_because="person.died")
    await here.heard()
    await here.cycle_is(cycle["cycle_id"], "settled", "closed")
    await here.bank.delete("/v1/faults")
    [case] = (await here.get(f"/v1/recoveries?area={person.area}"))["items"]
    assert (case["amount_fen"], case["cause"]) == (10_000, "person.died")


async def test_no_cycle_is_drawn_up_while_a_policy_is_being_applied(here: World) -> None:
    area, policy_id = here.county(), uuid4()

    async def reevaluation(status: Any, version: int) -> None:
        told = PolicyReevaluated(
            version=version, policy_id=policy_id, area=area[:4], status=status, persons=1, changed=1
        )
        await here.tell("eligibility", told)
        await here.heard()

    body = {"area": area, "period": "2026-03"}
    headers = here.issuer.bearer("civil_affairs", "53")
    await reevaluation("started", 1)
    refused = await here.http.post("/v1/cycles", json=body, headers=headers)
    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "policy-under-reevaluation")
    await reevaluation("finished", 2)

    async def is_drawn_up() -> bool:
        return (await here.http.post("/v1/cycles", json=body, headers=headers)).status_code == 201

    await eventually(is_drawn_up)


@pytest.mark.parametrize("seed", range(3))
async def test_events_doubled_and_shuffled_end_in_the_same_state(here: World, databases: Databases, seed: int) -> None:
    """Each event twice, in any order, in batches of any size: schedules, payees and holds are the same."""
    person, finding_id = await entitled_person(here), uuid4()
    await person.entitled("2026-01", "2026-06", amount_fen=9_000)
    await person.suspected("open", finding_id=finding_id, hold_from="2026-02")
    await person.paid_to("6222020000000301")
    await person.suspected("dismissed", finding_id=finding_id, hold_from="2026-02", version=2)
    await person.entitled("2026-01", amount_fen=11_000)
    await here.heard()
    bodies = [
        row["body"]
        for senior in here.seniors.values()
        for row in await _all(senior, "SELECT body FROM outbox WHERE key = :key", key=person.person_id)
    ]
    other = Database(await databases.fresh("disbursement"), service="disbursement", pool_size=2)
    try:
        projection = Projection(other, "disbursement", subscriptions(here.sealer))
        async with other.transaction() as tx:
            await tx.connection.execute(text("CREATE TABLE inbox_all PARTITION OF inbox DEFAULT"))
        await _apply_shuffled(projection, bodies * 2, Random(seed))
        for table, columns in (
            ("entitled_spans", "subsidy, months::text, amount_fen"),
            ("payees", "version, number_last4, obstacle"),
            ("findings", "version, status, lifted_at IS NULL"),
        ):
            sql = f"SELECT {columns} FROM {table} WHERE person_id = :key ORDER BY 1, 2"
            assert await _all(other, sql, key=person.person_id) == await _all(here.database, sql, key=person.person_id)
    finally:
        await other.close()


async def _apply_shuffled(projection: Projection, bodies: list[str], dice: Random) -> None:
    dice.shuffle(bodies)
    while bodies:
        size = dice.randint(1, 4)
        envelopes = [read_envelope(body.encode()) for body in bodies[:size]]
        del bodies[:size]
        async with projection.database.transaction() as tx:
            await projection.apply(tx, [Received(envelope, read_data(envelope)) for envelope in envelopes])


async def _all(database: Database, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    async with database.transaction() as tx:
        return list(rows(await tx.connection.execute(text(sql), parameters)))


async def test_a_submission_without_a_watermark_waits_and_is_refused_with_an_alarm(
    databases: Databases, issuer: Issuer
) -> None:
    """No consumer runs: nobody knows whether a stop is under way."""
    async with world(databases, issuer, roles="api,worker", submission_timeout_s=1.5) as deaf:
        await deaf.funded("530102")
        cycle = await deaf.approved("530102", "2026-03")
        await deaf.post(f"/v1/cycles/{cycle['cycle_id']}/submission", "finance")
        await asyncio.sleep(0.6)
        waiting = await deaf.get(f"/v1/cycles/{cycle['cycle_id']}")
        assert waiting["status"] == "approved"
        assert waiting["waiting_since"] is not None

        async def is_refused() -> Any:
            return (await deaf.get(f"/v1/cycles/{cycle['cycle_id']}"))["refused_because"]

        assert "nothing was sent" in await eventually(is_refused)
        [alarm] = (await deaf.get("/v1/cases?kind=submission_refused"))["items"]
        assert alarm["subject"] == cycle["cycle_id"]

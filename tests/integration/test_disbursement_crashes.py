"""Crashes and silence between us and the bank: every payment is made once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.common.clock import business_today
from libs.common.database import new_id
from libs.common.period import SHANGHAI, Period
from services.disbursement.bank import (
    AcceptedTransfer,
    Bank,
    Batch,
    BatchRefused,
    OneCardPlatform,
    OutcomeUnknown,
    Statement,
)
from services.disbursement.handlers.dispatch import Bound, mark_sent, prepare_batches
from services.disbursement.payments import payment_id
from services.disbursement.workers import Following, Sending
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import Person, World, handed_over, world


@pytest.fixture(scope="module")
async def still(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    """A world whose workers do nothing by themselves."""
    async with world(databases, issuer, roles="api,relay,consumer") as made:
        yield made


@pytest.fixture
async def here(still: World) -> AsyncIterator[World]:
    yield still
    await still.bank.delete("/v1/faults")


class Killed(BaseException):
    """The process is gone: nothing after this line happened."""


class KilledAfterAcceptance:
    """Hands the batch over, and dies before it can write that down."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    async def send(self, batch: Batch) -> None:
        await self._bank.send(batch)
        raise Killed

    async def statement(self, batch_id: UUID) -> Statement | None:
        return await self._bank.statement(batch_id)

    async def accepted_since(self, since: datetime | None) -> list[AcceptedTransfer]:
        return await self._bank.accepted_since(since)


class KilledBeforeSending(KilledAfterAcceptance):
    async def send(self, batch: Batch) -> None:
        raise Killed


def platform(here: World) -> OneCardPlatform:
    platform: OneCardPlatform = here.app.state.bank
    return platform


def sending(here: World, bank: Bank | None = None) -> Sending:
    """What a process starts with: nothing but the database."""
    return Sending(here.database, here.settings, here.sealer, bank or platform(here))


async def submitted_person(here: World, months: str = "2026-02") -> tuple[Person, str]:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled(months)
    await here.heard()
    cycle = await here.submitted(area, "2026-03")

    async def is_submitted() -> bool:
        await sending(here).submit()
        return (await here.get(f"/v1/cycles/{cycle['cycle_id']}"))["status"] != "approved"

    await eventually(is_submitted)
    return person, cycle["cycle_id"]


async def run_until_paid(here: World, person: Person) -> None:
    """A new process takes over, and goes on until the bank has paid."""
    worker = sending(here)

    async def all_settled() -> bool:
        while await worker.prepare():
            pass
        await handed_over(worker)
        return {p["status"] for p in await person.payments()} == {"settled"}

    await eventually(all_settled)


async def assert_paid_once(here: World, person: Person) -> None:
    transfers = await here.transfers_to(person.account)
    assert [t["amount_fen"] for t in transfers] == [10_000, 10_000]
    assert {t["payment_id"] for t in transfers} == {p["payment_id"] for p in await person.payments()}
    await here.invariants_hold()


@pytest.mark.parametrize("crash", [KilledAfterAcceptance, KilledBeforeSending])
async def test_killed_around_the_banks_acceptance_every_payment_is_made_once(
    here: World, crash: type[KilledAfterAcceptance]
) -> None:
    person, _ = await submitted_person(here)
    dying = sending(here, crash(platform(here)))
    await dying.prepare()
    with pytest.raises(Killed):
        await handed_over(dying)
    await run_until_paid(here, person)
    await assert_paid_once(here, person)


async def test_killed_before_the_batch_was_committed_nothing_was_sent_and_it_is_prepared_again(here: World) -> None:
    person, _ = await submitted_person(here)

    async def prepare_and_die() -> None:
        async with here.database.transaction() as tx:
            await prepare_batches(tx, here.settings, here.sealer, on=business_today())
            raise Killed

    with pytest.raises(Killed):
        await prepare_and_die()
    assert {p["status"] for p in await person.payments()} == {"pending"}
    await run_until_paid(here, person)
    await assert_paid_once(here, person)


async def test_a_batch_accepted_without_an_answer_is_asked_for_and_paid_once(here: World) -> None:
    person, _ = await submitted_person(here)
    await here.bank.post("/v1/faults", json={"timeout_after_accept_rate": 1})
    worker = sending(here)
    await worker.prepare()
    await handed_over(worker)
    [batch] = await here.sql("SELECT state, attempts FROM batches ORDER BY prepared_at DESC LIMIT 1")
    assert batch == {"state": "unknown", "attempts": 1}
    await run_until_paid(here, person)
    await assert_paid_once(here, person)


async def test_a_bank_that_answers_500_is_asked_again_until_it_accepts(here: World) -> None:
    person, _ = await submitted_person(here)
    await here.bank.post("/v1/faults", json={"http_500_rate": 1})
    worker = sending(here)
    await worker.prepare()
    await handed_over(worker)
    assert await here.transfers_to(person.account) == []
    await here.bank.post("/v1/faults", json={"http_500_rate": 0.5})
    await run_until_paid(here, person)
    await assert_paid_once(here, person)


async def test_two_processes_that_send_at_once_pay_once(here: World) -> None:
    person, _ = await submitted_person(here)
    one, two = sending(here), sending(here)
    await one.prepare()
    await two.prepare()
    await handed_over(one)
    await handed_over(two)
    await run_until_paid(here, person)
    await assert_paid_once(here, person)


async def test_a_restored_database_mints_the_same_payments_and_the_bank_pays_none_twice(here: World) -> None:
    """The database is set back to before the batch was prepared; the bank has paid it."""
    person, cycle_id = await submitted_person(here)
    await run_until_paid(here, person)
    await here.sql(
        "WITH back AS (UPDATE payments SET status = 'pending', batch_id = NULL, payee_version = NULL, bank_ref = NULL,"
        " settled_on = NULL WHERE cycle_id = :id RETURNING 1) SELECT count(*) FROM back",
        id=UUID(cycle_id),
    )
    async with here.database.transaction() as tx:
        await tx.connection.execute(text("ALTER TABLE postings DISABLE TRIGGER postings_append_only"))
        await tx.connection.execute(
            text("DELETE FROM postings WHERE book_area = :area AND cause IN ('sending', 'settlement')"),
            {"area": person.area},
        )
        await tx.connection.execute(text("ALTER TABLE postings ENABLE TRIGGER postings_append_only"))
        await tx.connection.execute(text("DELETE FROM statement_lines"))
        await tx.connection.execute(text("DELETE FROM batches WHERE cycle_id = :id"), {"id": UUID(cycle_id)})
    worker = sending(here)
    while await worker.prepare():
        pass
    await handed_over(worker)
    following = Following(here.database, here.settings, platform(here))

    async def all_settled() -> bool:
        await here.sql("UPDATE batches SET due_at = now() WHERE state = 'accepted' RETURNING 1")
        await following.follow()
        return {p["status"] for p in await person.payments()} == {"settled"}

    await eventually(all_settled)
    await assert_paid_once(here, person)


async def test_what_was_stopped_between_submission_and_sending_is_not_sent(here: World) -> None:
    person, cycle_id = await submitted_person(here)
    await person.entitled("2026-02", "2026-02", cause="certificate.expired", stopped_because="certificate.expired")
    await here.heard()
    await run_until_paid(here, person)
    assert [p["period"] for p in await person.payments()] == ["2026-02"]
    assert (await here.get(f"/v1/cycles/{cycle_id}"))["counts"]["dropped"] == 1
    await here.invariants_hold()


async def test_a_change_of_account_acts_on_everything_not_yet_sent(here: World) -> None:
    person, _ = await submitted_person(here)
    await person.paid_to("6222020000000401")
    await here.heard()
    await run_until_paid(here, person)
    assert await here.transfers_to(person.account) == []
    assert len(await here.transfers_to("6222020000000401")) == 2


class RefusedForItsKey(KilledAfterAcceptance):
    """As if the credentials were wrong."""

    async def send(self, batch: Batch) -> None:
        raise BatchRefused("the bank answered 401")


async def test_a_batch_that_the_bank_refuses_is_a_case_and_sent_anew_once_it_is_recalled(here: World) -> None:
    person, _ = await submitted_person(here)
    worker = sending(here, RefusedForItsKey(platform(here)))
    await worker.prepare()
    await handed_over(worker)
    [case] = (await here.get(f"/v1/cases?kind=batch_refused&area={person.area}"))["items"]
    assert case["detail"]["because"] == "the bank answered 401"
    assert {p["status"] for p in await person.payments()} == {"sent"}
    await here.invariants_hold()

    path = f"/v1/batches/{case['subject']}/recall"
    recalled = await here.post(path, "finance", reason="已更换密钥")
    assert recalled["status"] == "recalled"
    assert {p["status"] for p in await person.payments()} == {"pending"}
    await here.invariants_hold()
    assert (await here.call("POST", path, "finance", reason="再次")).status_code == 409
    await run_until_paid(here, person)
    await assert_paid_once(here, person)


async def test_a_refused_batch_that_the_bank_has_after_all_counts_as_accepted(here: World) -> None:
    """It accepted, and answered as if it had not: what it has is not sent again."""

    class AcceptsAndRefuses(KilledAfterAcceptance):
        async def send(self, batch: Batch) -> None:
            await self._bank.send(batch)
            raise BatchRefused("the bank answered 422")

    person, _ = await submitted_person(here)
    worker = sending(here, AcceptsAndRefuses(platform(here)))
    await worker.prepare()
    await handed_over(worker)
    [case] = (await here.get(f"/v1/cases?kind=batch_refused&area={person.area}"))["items"]
    found = await here.post(f"/v1/batches/{case['subject']}/recall", "finance", reason="银行确认已受理")
    assert found["status"] == "accepted"
    await run_until_paid(here, person)
    await assert_paid_once(here, person)


async def test_an_account_lost_at_the_very_moment_of_sending_leaves_the_payment_unsent(here: World) -> None:
    """Between what is judged and what is marked the card was blocked: nothing goes out, and no worker dies of it."""
    person, cycle_id = await submitted_person(here)
    bound = [
        Bound(UUID(payment["payment_id"]), Period.parse(payment["period"]).first_day, new_id())
        for payment in await person.payments()
    ]
    await person.paid_to(None)
    await here.heard()
    async with here.database.transaction() as tx:
        assert not await mark_sent(tx, UUID(cycle_id), bound)
    assert {p["status"] for p in await person.payments()} == {"pending"}


async def test_a_database_server_that_was_restarted_is_compared_with_the_bank_again(here: World) -> None:
    """A restart may be a restore under a process that lives on."""

    class Counted(KilledAfterAcceptance):
        asked = 0

        async def accepted_since(self, since: datetime | None) -> list[AcceptedTransfer]:
            Counted.asked += 1
            return await super().accepted_since(since)

    worker = sending(here, Counted(platform(here)))
    assert await worker.agrees()
    assert await worker.agrees()
    assert Counted.asked == 1
    worker._agreed_on, worker._asked_at = datetime(2026, 1, 1, tzinfo=SHANGHAI), -1.0  # another server than now
    assert await worker.agrees()
    assert Counted.asked == 2


async def test_the_database_refuses_a_second_payment_on_its_way_for_a_month(here: World) -> None:
    person, _ = await submitted_person(here)
    with pytest.raises(IntegrityError):
        await here.sql(
            "INSERT INTO payments (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level, amount_fen,"
            " entitled_fen, paid_before_fen) SELECT :id, period, person_id, subsidy, 2, cycle_id, area, level, 1,"
            " entitled_fen, 0 FROM payments WHERE person_id = :person AND period = '2026-03-01' RETURNING 1",
            id=payment_id(person.person_id, "living", Period(2026, 3), 2),
            person=person.person_id,
        )


async def test_the_database_refuses_to_change_the_ledger(here: World) -> None:
    await here.funded("539999")
    for statement in ("UPDATE postings SET amount_fen = 1 RETURNING 1", "DELETE FROM postings RETURNING 1"):
        with pytest.raises(IntegrityError):
            await here.sql(statement)


async def test_the_database_and_the_code_mint_the_same_payment_ids(here: World) -> None:
    [row] = await here.sql("SELECT payment_id('p1-x', 'care', DATE '2026-03-01', 7) AS id")
    assert row["id"] == payment_id("p1-x", "care", Period(2026, 3), 7)


async def test_a_silent_bank_leaves_the_outcome_unknown(here: World) -> None:
    nobody = OneCardPlatform("http://127.0.0.1:9", client_id="liangbu", client_secret="secret", timeout_s=0.2)
    with pytest.raises(OutcomeUnknown):
        await nobody.statement(UUID(int=1))
    answer: Any = await platform(here).statement(UUID(int=1))
    assert answer is None

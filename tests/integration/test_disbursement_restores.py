"""The database is restored from before a submission: nothing is paid twice, and the books know again what was paid."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from services.disbursement.bank import OneCardPlatform
from services.disbursement.workers import Following, Sending
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import Person, World, handed_over, world


@pytest.fixture
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    """A world whose workers do nothing by themselves."""
    async with world(databases, issuer, roles="api,relay,consumer") as made:
        await sending(made).agrees()
        yield made


def sending(here: World, bank: OneCardPlatform | None = None) -> Sending:
    """What a process starts with."""
    return Sending(here.database, here.settings, here.sealer, bank or here.app.state.bank)


async def entitled_person(here: World) -> Person:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-02")
    await here.heard()
    return person


async def sent(here: World, cycle_id: str) -> None:
    worker = sending(here)

    async def is_sent() -> bool:
        await worker.submit()
        while await worker.prepare():
            pass
        await handed_over(worker)
        return (await here.get(f"/v1/cycles/{cycle_id}"))["counts"]["pending"] == 0

    await eventually(is_sent)


async def settled(here: World, person: Person) -> None:
    following = Following(here.database, here.settings, here.app.state.bank)

    async def all_settled() -> bool:
        await here.sql("UPDATE batches SET due_at = now() WHERE state = 'accepted' RETURNING 1")
        await following.follow()
        return {p["status"] for p in await person.payments()} == {"settled"}

    await eventually(all_settled)


async def restore_to_before(here: World, *, drawn_up: bool) -> None:
    """As after a restore: nothing of the submission is left; of the cycle, only if it had been drawn up by then."""
    emptied = ("statement_lines", "sms_receipts", "webhook_deliveries", "cases", "outbox")
    async with here.database.transaction() as tx:
        await tx.connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in emptied:
            await tx.connection.execute(text(f"DELETE FROM {table}"))
        await tx.connection.execute(text("DELETE FROM postings WHERE cause <> 'appropriation'"))
        await tx.connection.execute(text("DELETE FROM batches"))
        if drawn_up:
            await tx.connection.execute(
                text(
                    "UPDATE payments SET status = 'pending', batch_id = NULL, payee_version = NULL, bank_ref = NULL,"
                    " settled_on = NULL, book_area = NULL, book_year = NULL"
                )
            )
            await tx.connection.execute(
                text("UPDATE cycles SET status = 'approved', requested_at = NULL, submitted_at = NULL")
            )
        else:
            await tx.connection.execute(text("DELETE FROM payments"))
            await tx.connection.execute(text("DELETE FROM cycles"))


@pytest.mark.parametrize("drawn_up", [True, False], ids=["approved and not submitted", "not even drawn up"])
async def test_database_restored_from_before_a_submission_pays_nothing_twice(here: World, drawn_up: bool) -> None:
    person = await entitled_person(here)
    cycle = await here.submitted(person.area, "2026-03")
    await sent(here, cycle["cycle_id"])
    await settled(here, person)
    before = await person.payments()
    await restore_to_before(here, drawn_up=drawn_up)
    # Somebody changes the account meanwhile: sent again under the same id, the bank would refuse the whole batch.
    await person.paid_to("6222020000000777")
    await here.heard()

    assert await sending(here).agrees()
    assert {(p["payment_id"], p["status"]) for p in await person.payments()} == {
        (p["payment_id"], "settled") for p in before
    }
    again = await here.submitted(person.area, "2026-03")
    await sent(here, again["cycle_id"])
    assert [t["amount_fen"] for t in await here.transfers_to(person.account)] == [10_000, 10_000]
    assert await here.transfers_to("6222020000000777") == []
    [lock] = (await here.get("/v1/restore-locks"))["items"]
    assert (lock["written_back"], lock["released_at"] is None) == (2, False)
    await here.invariants_hold()


async def test_what_the_bank_paid_and_nobody_here_knows_keeps_the_lock_until_it_is_resolved(here: World) -> None:
    person = await entitled_person(here)
    cycle = await here.submitted(person.area, "2026-03")
    await sent(here, cycle["cycle_id"])
    await settled(here, person)
    await restore_to_before(here, drawn_up=False)
    await here.sql("WITH s AS (DELETE FROM entitled_spans) DELETE FROM entitlements RETURNING 1")

    assert not await sending(here).agrees()
    cases = (await here.get("/v1/cases?kind=paid_before_restore"))["items"]
    assert [case["detail"]["bank_fen"] for case in cases] == [10_000, 10_000]
    [lock] = (await here.get("/v1/restore-locks"))["items"]
    assert lock["released_at"] is None
    for case in cases:
        await here.post(f"/v1/cases/{case['case_id']}/resolution", "finance", resolution="系他系统发放")
    assert await sending(here).agrees()


async def test_an_administrator_locks_submission_and_the_banks_books_release_it(here: World) -> None:
    person = await entitled_person(here)
    cycle = await here.approved(person.area, "2026-03")
    await here.post("/v1/restore-locks", "admin", because="恢复了 3 月 2 日的备份")
    refused = await here.call("POST", f"/v1/cycles/{cycle['cycle_id']}/submission", "finance")
    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "submission-locked")
    silent = OneCardPlatform("http://127.0.0.1:9", client_id="liangbu", client_secret="secret", timeout_s=0.2)
    assert not await sending(here, silent).agrees()
    assert await sending(here).agrees()
    await here.post(f"/v1/cycles/{cycle['cycle_id']}/submission", "finance")


async def test_books_that_run_on_another_server_are_compared_before_anything_is_sent(here: World) -> None:
    await here.sql("UPDATE database_identity SET timeline = timeline - 1 RETURNING 1")
    assert await sending(here).agrees()
    [lock] = (await here.get("/v1/restore-locks"))["items"]
    assert "another server or timeline" in lock["because"]


async def test_a_result_of_a_payment_that_was_never_sent_locks_submission(here: World) -> None:
    person = await entitled_person(here)
    await here.approved(person.area, "2026-03")
    [payment, _] = await person.payments()
    data = {"payment_id": payment["payment_id"], "settled_on": "2026-03-20", "bank_ref": "R9"}
    assert (await here.webhook("payment.settled", **data)).status_code == 200
    [lock] = (await here.get("/v1/restore-locks"))["items"]
    assert (lock["locked_by"], lock["released_at"]) == ("bank result", None)

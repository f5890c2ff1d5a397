"""How batches go to the bank side by side: past one that it does not answer for, and at the pace that is set, by its
own times of receipt. A slow machine only keeps it better."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from libs.common.clock import utc_now
from services.disbursement.bank import AcceptedTransfer, Bank, Batch, Statement
from services.disbursement.workers import Sending
from tests.chaos.people import insert_people
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import World, world

PAYMENTS = 30
BATCH = 5
A_SECOND = 5  # so slow that whoever knows of no pace is done long before
AVERAGED_OVER_S = 0.5


@pytest.fixture
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    """A world whose workers do nothing by themselves."""
    async with world(databases, issuer, roles="api,relay,consumer") as made:
        yield made


async def test_two_workers_together_hand_the_bank_no_more_payments_a_second_than_is_set(here: World) -> None:
    area = here.county()
    people = await insert_people(here.database, here.sealer, area, PAYMENTS)
    await here.funded(area)
    await here.heard()
    await here.submitted(area, "2026-03")
    settings = here.settings.model_copy(update={"bank_batch_size": BATCH, "bank_payments_a_second": A_SECOND})
    began = utc_now()
    workers = [
        worker
        for _ in range(2)
        for sending in [Sending(here.database, settings, here.sealer, here.app.state.bank)]
        for worker in (sending.preparing, sending.handing_over)
    ]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    received = await eventually(lambda: _received(here, PAYMENTS), within_s=60)
    for worker in workers:
        worker.stop()
    await asyncio.gather(*running)

    assert len(received) == len(people), "each payment once"
    # The last of them was let go only after all before it had had their time.
    at_least_s = (PAYMENTS - BATCH) / A_SECOND - AVERAGED_OVER_S
    assert received[-1] - began >= timedelta(seconds=at_least_s)
    await here.invariants_hold()


class SilentAboutTheFirst:
    """A bank that does not answer for the first batch until it is let."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._is_first = True
        self.answers = asyncio.Event()

    async def send(self, batch: Batch) -> None:
        is_first, self._is_first = self._is_first, False
        if is_first:
            await self.answers.wait()
        await self._bank.send(batch)

    async def statement(self, batch_id: UUID) -> Statement | None:
        return await self._bank.statement(batch_id)

    async def accepted_since(self, since: datetime | None) -> list[AcceptedTransfer]:
        return await self._bank.accepted_since(since)


async def test_a_batch_that_the_bank_does_not_answer_for_holds_no_other(here: World) -> None:
    area = here.county()
    await insert_people(here.database, here.sealer, area, 12)
    await here.funded(area)
    await here.heard()
    await here.submitted(area, "2026-03")
    bank = SilentAboutTheFirst(here.app.state.bank)
    settings = here.settings.model_copy(update={"bank_batch_size": 1})
    sending = Sending(here.database, settings, here.sealer, bank)
    running = [asyncio.create_task(worker.run()) for worker in (sending.preparing, sending.handing_over)]
    assert len(await eventually(lambda: _received(here, 11))) == 11
    # What is with the bank in the end is waited for.
    sending.preparing.stop()
    sending.handing_over.stop()
    bank.answers.set()
    await asyncio.gather(*running)
    states = await here.sql(
        "SELECT state, count(*) AS batches FROM batches JOIN cycles c USING (cycle_id)"
        " WHERE c.area = :area GROUP BY state",
        area=area,
    )
    assert states == [{"state": "accepted", "batches": 12}]


async def _received(here: World, payments: int) -> list[datetime] | None:
    """When the bank received each of all, once it has so many."""
    items = (await here.bank.get("/v1/transfers")).json()["items"]
    received = sorted(datetime.fromisoformat(item["accepted_at"]) for item in items)
    return received if len(received) >= payments else None

"""The pace that is set towards the bank, by its own times of receipt. A slow machine only keeps it better."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from libs.common.clock import utc_now
from services.disbursement.workers import Sending
from tests.chaos.people import insert_people
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import World, world

PAYMENTS = 60
BATCH = 5
A_SECOND = 30
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
    received = await eventually(lambda: _all_received(here), within_s=60)
    for worker in workers:
        worker.stop()
    await asyncio.gather(*running)

    assert len(received) == len(people), "each payment once"
    # The last of them was let go only after all before it had had their time.
    at_least_s = (PAYMENTS - BATCH) / A_SECOND - AVERAGED_OVER_S
    assert received[-1] - began >= timedelta(seconds=at_least_s)
    await here.invariants_hold()


async def _all_received(here: World) -> list[datetime] | None:
    """When the bank received each, once it has as many as were submitted."""
    items = (await here.bank.get("/v1/transfers")).json()["items"]
    received = sorted(datetime.fromisoformat(item["accepted_at"]) for item in items)
    return received if len(received) >= PAYMENTS else None

"""Intake on the bus: eligibility's answer decides, however often and in whatever order it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.common.clock import business_today
from libs.common.database import Database
from libs.common.outbox import Relay, request_replay
from libs.common.platform_schema import ensure_month_partitions
from libs.common.settings import Settings
from services.intake.main import build
from tests.conftest import Databases, Issuer, eventually, running
from tests.integration.intake import Office, assessed


async def test_an_assessment_from_the_bus_decides_once(
    databases: Databases, make_settings: Callable[..., Settings], issuer: Issuer
) -> None:
    settings = make_settings(await databases.fresh("intake"), roles="api,relay,consumer")
    # Any service's database has an outbox; this one is eligibility's.
    eligibility = Database(await databases.fresh("intake"), service="eligibility")
    async with eligibility.transaction() as tx:
        await ensure_month_partitions(tx, business_today())
    relay = Relay(eligibility, settings)
    relaying = asyncio.create_task(relay.run())
    try:
        async with running(build(settings), settings) as started:
            office = Office(started, issuer, "530102")
            submitted = await office.submit()
            application_id, person_id = submitted["application_id"], submitted["person_id"]
            await office.approve_by_three(application_id)
            async with eligibility.transaction() as tx:
                for version, subsidies in ((4, ("living",)), (2, ())):
                    answer = assessed(application_id, *subsidies, version=version)
                    tx.publish(answer.model_copy(update={"person_id": person_id}))

            async def approved() -> bool:
                return bool((await office.read(application_id))["status"] == "approved")

            await eventually(approved)
            async with eligibility.transaction() as tx:
                await request_replay(tx.connection)

            async def both_kept() -> bool:
                return len(await office.rows("SELECT * FROM assessments")) == 2

            await eventually(both_kept)
            await asyncio.sleep(0.5)
            assert (await office.read(application_id))["granted"] == ["living"]
            assert len(await office.told("application.approved", person_id)) == 1
            assert len(await office.told("payee.changed", person_id)) == 1
            assert not await office.rows("SELECT * FROM dead_letters")
    finally:
        relay.stop()
        await relaying
        await eligibility.close()

"""Stops that race the submission of their cycle, through outbox, relay, broker and consumer as they are.

What was acknowledged before the submission was asked for is never paid, at the bank. `LIANGBU_CHAOS=full` runs 10,000.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from random import Random
from uuid import uuid4

import pytest

from libs.common.events.eligibility import EntitlementChanged
from libs.common.events.envelope import EventData
from libs.common.events.matching import FindingOpened
from libs.common.period import Period
from tests.chaos.people import Person, insert_people
from tests.conftest import Databases, Issuer
from tests.integration.disbursement import World, world

RACES = 10_000 if os.environ.get("LIANGBU_CHAOS") == "full" else 300
STOPS_A_CYCLE = 100
SEED = 20_260_302
MARCH = Period(2026, 3)


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


async def test_a_stop_acknowledged_before_the_submission_is_asked_for_is_never_paid(here: World) -> None:
    dice = Random(SEED)
    raced = before = 0
    while raced < RACES:
        area = f"53{raced // STOPS_A_CYCLE // 100 + 10:02d}{raced // STOPS_A_CYCLE % 100:02d}"
        people = await insert_people(here.database, here.sealer, area, STOPS_A_CYCLE + 5)
        await here.funded(area)
        cycle = await here.approved(area, "2026-03")
        stopped, others = people[:STOPS_A_CYCLE], people[STOPS_A_CYCLE:]
        acknowledged = await _race(here, stopped, cycle["cycle_id"], dice)
        await here.cycle_is(cycle["cycle_id"], "settled", "closed", within_s=300)
        credited = {item["account"] for item in (await here.bank.get("/v1/transfers")).json()["items"]}
        wrong = [one for one in acknowledged if one.account in credited]
        assert not wrong, f"{len(wrong)} of {len(acknowledged)} stops were paid"
        assert all(one.account in credited for one in others), "nobody else is stopped"
        raced, before = raced + len(stopped), before + len(acknowledged)
    assert 0 < before < raced, "the submission came in the middle of the stops"
    await here.invariants_hold()


async def _race(here: World, stopped: list[Person], cycle_id: str, dice: Random) -> list[Person]:
    """Tells the stops one after the other and asks for the submission somewhere among them; whose stop had been
    acknowledged by then."""
    acknowledged: list[Person] = []
    asked = asyncio.Event()
    after = dice.randrange(1, len(stopped))

    async def tell() -> None:
        for person in stopped:
            service, told = _stop(person, dice)
            await here.tell(service, told)
            acknowledged.append(person)
            if len(acknowledged) == after:
                asked.set()

    telling = asyncio.create_task(tell())
    await asked.wait()
    known = list(acknowledged)
    await here.post(f"/v1/cycles/{cycle_id}/submission", "finance")
    await telling
    return known


def _stop(person: Person, dice: Random) -> tuple[str, EventData]:
    if dice.random() < 0.5:
        return "matching", FindingOpened(
            person_id=person.person_id, version=1, finding_id=uuid4(), kind="person.died", area=person.area,
            status="open", alleged_on=MARCH.previous.last_day, hold_from=MARCH, due_on=MARCH.last_day, fact_id=None,
        )  # fmt: skip
    return "eligibility", EntitlementChanged(
        person_id=person.person_id, version=2, subsidy="living", schedule=(), cause="person.died",
        stopped_because="person.died", area=person.area,
    )  # fmt: skip

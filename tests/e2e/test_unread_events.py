"""An event that eligibility cannot take in may be a stop: its person is not paid until somebody has looked at it."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from tests.e2e.world import Person, World, until


async def test_an_event_that_cannot_be_read_holds_its_person_and_nobody_else(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    doubted, other = await world.granted(area), await world.granted(area)
    await publish_unreadable(world, doubted)
    letter = await until(lambda: _letter(world, "person.died.v1"), "the dead letter")
    await until(lambda: _holds(world, area, 2), "both of the person's payments to be held")
    await world.pay(area, "2026-01")
    await world.until_books(doubted, "living", "2026-01", paid_fen=0, held_fen=10000)
    await world.until_books(other, "living", "2026-01", paid_fen=10000, held_fen=0)
    again = await world.call("POST", "eligibility", f"/v1/dead-letters/{letter['dead_letter_id']}/retry", "admin", "53")
    assert again.status_code == 409, "it is as unreadable as before, and stays"


async def publish_unreadable(world: World, person: Person) -> None:
    """A death without its day, as a faulty build of matching might publish it."""
    envelope = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/liangbu/matching",
        "type": "person.died.v1",
        "subject": person.person_id,
        "time": "2026-11-01T00:00:00Z",
        "data": {"person_id": person.person_id, "fact_id": str(uuid4()), "source": "deaths"},
    }
    port = json.loads((world.home / "running.json").read_text())["broker_port"]
    async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{port}") as producer:
        await producer.send_and_wait("liangbu.matching", json.dumps(envelope).encode(), key=person.person_id.encode())


async def _letter(world: World, event_type: str) -> Any:
    letters = (await world.get("eligibility", "/v1/dead-letters", "admin", "53"))["items"]
    return next((letter for letter in letters if letter["type"] == event_type), None)


async def _holds(world: World, area: str, count: int) -> Any:
    draft = await world.draw_up(area, "2026-01")
    return True if draft["counts"]["held"] == count else None

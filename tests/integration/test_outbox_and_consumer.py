"""The bus as services use it: outbox, relay, inbox, dead letters, watermarks, on a real database and broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text

from deploy.local.broker import Broker
from deploy.local.postgres import PostgresServer
from libs.common.clock import business_today, utc_now
from libs.common.consumer import Consumer, Projection, Received, Subscription
from libs.common.database import Database, Transaction, asyncpg_dsn
from libs.common.events.matching import CertificateExpired, PersonDied
from libs.common.outbox import Relay, request_replay
from libs.common.platform_schema import PLATFORM_V1, drop_old_partitions, ensure_month_partitions
from libs.common.settings import Settings
from libs.common.watermark import read_watermark
from tests.conftest import eventually


@dataclass
class Bus:
    """A producing and a reading service with a broker of their own."""

    producer: Database
    reader: Database
    settings: Settings
    broker: Broker

    async def seen(self) -> list[str]:
        async with self.reader.transaction() as tx:
            return list((await tx.connection.execute(text("SELECT source FROM seen ORDER BY arrived"))).scalars())

    async def publish(self, *names: str, person: str = "p1-a") -> None:
        async with self.producer.transaction() as tx:
            for name in names:
                tx.publish(expired(name, person))


def expired(name: str, person: str = "p1-a") -> CertificateExpired:
    return CertificateExpired(
        person_id=person,
        fact_id=uuid4(),
        occurred_on=date(2026, 3, 15),
        known_at=datetime(2026, 3, 16, tzinfo=UTC),
        source=name,
    )


async def note(tx: Transaction, received: Sequence[Received]) -> None:
    for item in received:
        if item.data.source == "poison":
            raise ValueError("poison")
        await tx.connection.execute(text("INSERT INTO seen (source) VALUES (:source)"), {"source": item.data.source})


@pytest.fixture
async def bus(postgres: PostgresServer, make_settings: Callable[..., Settings]) -> AsyncIterator[Bus]:
    names = [f"bus_{uuid4().hex[:8]}" for _ in range(2)]
    postgres.create_databases(*names)
    for name in names:
        raw = await asyncpg.connect(asyncpg_dsn(postgres.url(name)))
        await raw.execute(PLATFORM_V1 + "CREATE TABLE seen (arrived bigserial, source text);")
        await raw.close()
    producer, reader = (
        Database(postgres.url(n), service=s) for n, s in zip(names, ("matching", "eligibility"), strict=True)
    )
    for database in (producer, reader):
        async with database.transaction() as tx:
            await ensure_month_partitions(tx, business_today())
    with Broker() as broker:
        settings = make_settings("").model_copy(update={"kafka_bootstrap": broker.bootstrap, "consumer_silence_s": 3.0})
        yield Bus(producer, reader, settings, broker)
    await producer.close()
    await reader.close()


class Started:
    """The relay and one or more consumers of a bus, stopped at the end."""

    def __init__(self, bus: Bus, *, consumers: int = 1) -> None:
        projection = Projection(bus.reader, "eligibility", [Subscription(CertificateExpired, note)])
        self.projection = projection
        self.relay = Relay(bus.producer, bus.settings)
        self.consumers = [Consumer(projection, bus.settings, ["liangbu.matching"]) for _ in range(consumers)]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Started:
        self._tasks = [asyncio.create_task(worker.run()) for worker in (self.relay, *self.consumers)]
        return self

    async def __aexit__(self, *error: Any) -> None:
        for worker in (self.relay, *self.consumers):
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*self._tasks), 15)


async def test_what_a_transaction_publishes_takes_effect_once_at_the_reader(bus: Bus) -> None:
    async with Started(bus):
        await bus.publish("a", "b", "c")
        await eventually(lambda: _has(bus, ["a", "b", "c"]))


async def test_what_is_rolled_back_is_never_published(bus: Bus) -> None:
    async with Started(bus):
        with pytest.raises(RuntimeError):
            async with bus.producer.transaction() as tx:
                tx.publish(expired("never"))
                raise RuntimeError
        await bus.publish("after")
        await eventually(lambda: _has(bus, ["after"]))


async def test_a_person_s_events_come_in_commit_order_though_a_long_transaction_is_open(bus: Bus) -> None:
    """The long one takes its transaction id first and the person's lock last."""
    async with Started(bus):
        async with bus.producer.transaction() as long:
            await long.connection.execute(text("SELECT pg_current_xact_id()"))
            for number in range(20):
                await bus.publish(f"short {number}")
            await asyncio.sleep(0.3)
            assert await bus.seen() == [], "nothing at or above an open transaction may be published"
            long.publish(expired("long"))
        await eventually(lambda: _has(bus, [f"short {n}" for n in range(20)] + ["long"]))


async def test_poison_is_set_aside_with_its_reason_and_loses_nothing_else(bus: Bus) -> None:
    async with Started(bus) as started:
        await bus.publish("a", "poison", "b")
        await eventually(lambda: _has(bus, ["a", "b"]))
        letter = (await eventually(lambda: _dead_letters(bus)))[0]
        assert "poison" in letter.reason
        assert letter.type == "certificate.expired.v1"
        await bus.publish("c")
        await eventually(lambda: _has(bus, ["a", "b", "c"]))
    assert started.relay.is_leader is False


async def test_what_is_no_event_is_set_aside_too(bus: Bus) -> None:
    async with Started(bus):
        await bus.publish("a")
        await eventually(lambda: _has(bus, ["a"]))
        async with AIOKafkaProducer(bootstrap_servers=bus.broker.bootstrap) as raw:
            await raw.send_and_wait("liangbu.matching", b"{not json", key=b"x")
        letter = (await eventually(lambda: _dead_letters(bus)))[0]
        assert "CloudEvents" in letter.reason


async def test_a_requested_replay_changes_nothing_at_a_reader_that_knows_it_all(bus: Bus) -> None:
    async with Started(bus):
        await bus.publish("a", "b")
        await eventually(lambda: _has(bus, ["a", "b"]))
        async with bus.producer.transaction() as tx:
            await request_replay(tx.connection)
        await bus.publish("c")
        await eventually(lambda: _has(bus, ["a", "b", "c"]))
        await asyncio.sleep(0.3)
        assert await bus.seen() == ["a", "b", "c"]


async def test_after_the_broker_lost_everything_nothing_is_lost(bus: Bus) -> None:
    async with Started(bus):
        await bus.publish("a", "b")
        await eventually(lambda: _has(bus, ["a", "b"]))
    await bus.publish("published by nobody yet")
    async with Started(bus):
        await eventually(lambda: _has(bus, ["a", "b", "published by nobody yet"]))
        bus.broker.kill()
        await bus.publish("while it was away")
        await asyncio.sleep(0.5)
        bus.broker.start()
        await eventually(lambda: _has(bus, ["a", "b", "published by nobody yet", "while it was away"]), within_s=40)
        await bus.publish("afterwards")
        await eventually(lambda: _contains(bus, "afterwards"), within_s=40)


async def test_events_that_the_lost_broker_never_delivered_are_published_again(bus: Bus) -> None:
    relay = Relay(bus.producer, bus.settings)
    task = asyncio.create_task(relay.run())
    await bus.publish("read by nobody")
    await eventually(lambda: _published(bus))
    bus.broker.kill()
    bus.broker.start()
    relay.stop()
    await task
    async with Started(bus):
        await eventually(lambda: _has(bus, ["read by nobody"]), within_s=40)


async def test_the_watermark_passes_a_moment_only_after_what_was_committed_before_it(bus: Bus) -> None:
    async with Started(bus):
        for number in range(10):
            await bus.publish(f"stop {number}", person=f"p1-{number}")
            asked_at = utc_now()
            await eventually(lambda at=asked_at: _watermark_past(bus, at))
            assert f"stop {number}" in await bus.seen()


async def test_an_open_transaction_holds_the_watermark_back(bus: Bus) -> None:
    async with Started(bus):
        await bus.publish("before")
        await eventually(lambda: _has(bus, ["before"]))
        async with bus.producer.transaction() as tx:
            await tx.connection.execute(text("SELECT pg_current_xact_id()"))
            await asyncio.sleep(0.3)
            asked_at = utc_now()
            await asyncio.sleep(0.7)
            assert not await _watermark_past(bus, asked_at)
        await eventually(lambda: _watermark_past(bus, asked_at))


async def test_two_consumers_share_the_partitions_and_a_leaving_one_loses_nothing(bus: Bus) -> None:
    async with Started(bus):
        await bus.publish("first")
        await eventually(lambda: _has(bus, ["first"]))
        async with Started(bus, consumers=2):
            for number in range(30):
                await bus.publish(f"n{number}", person=f"p1-{number}")
        await eventually(lambda: _count(bus, 31), within_s=40)


async def test_months_older_than_kept_are_dropped_from_outbox_and_inbox_alike(bus: Bus) -> None:
    async with bus.producer.transaction() as tx:
        await ensure_month_partitions(tx, date(2020, 1, 15))
        dropped = await drop_old_partitions(tx, business_today())
        left = (
            await tx.connection.execute(
                text("SELECT count(*) FROM pg_inherits WHERE inhparent IN ('outbox'::regclass, 'inbox'::regclass)")
            )
        ).scalar_one()
    assert dropped == 20
    assert left == 20


def test_an_event_that_nobody_subscribed_to_is_not_wanted() -> None:
    assert PersonDied.type != CertificateExpired.type


async def _has(bus: Bus, names: list[str]) -> bool:
    return sorted(await bus.seen()) == sorted(names)


async def _contains(bus: Bus, name: str) -> bool:
    return name in await bus.seen()


async def _count(bus: Bus, count: int) -> bool:
    return len(await bus.seen()) == count


async def _dead_letters(bus: Bus) -> Sequence[Any]:
    async with bus.reader.transaction() as tx:
        return (await tx.connection.execute(text("SELECT reason, type FROM dead_letters"))).all()


async def _published(bus: Bus) -> bool:
    async with bus.producer.transaction() as tx:
        row = (await tx.connection.execute(text("SELECT seq, low = high AS done, high FROM relay_position"))).one()
        offsets = (await tx.connection.execute(text("SELECT offsets::text FROM relay_position"))).scalar_one()
    return bool(row.done) and offsets != "{}"


async def _watermark_past(bus: Bus, moment: datetime) -> bool:
    async with bus.reader.transaction() as tx:
        until = await read_watermark(
            tx.connection, ["liangbu.matching"], bus.settings.kafka_partitions, reader="eligibility"
        )
    return until is not None and until >= moment

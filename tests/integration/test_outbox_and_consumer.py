"""The bus as services use it: outbox, relay, inbox, dead letters, watermarks, on a real database and broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import text

from deploy.local.broker import Broker
from deploy.local.postgres import PostgresServer
from libs.common.clock import business_today, utc_now
from libs.common.consumer import Consumer
from libs.common.database import Database, Transaction, asyncpg_dsn
from libs.common.events.matching import CertificateExpired
from libs.common.outbox import FIRST_BETWEEN, WHERE_IT_IS, Relay, request_replay
from libs.common.platform_schema import PLATFORM_V1, drop_old_partitions, ensure_month_partitions
from libs.common.projection import Projection, Received, Subscription
from libs.common.settings import Settings
from libs.common.watermark import read_watermark
from tests.conftest import Databases, Issuer, eventually


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


@asynccontextmanager
async def bus_of(postgres: PostgresServer, settings: Settings) -> AsyncIterator[Bus]:
    names = [f"bus_{uuid4().hex[:8]}" for _ in range(2)]
    postgres.create_databases(*names)
    for name in names:
        raw = await asyncpg.connect(asyncpg_dsn(postgres.url(name)))
        await raw.execute(PLATFORM_V1 + "CREATE TABLE seen (arrived bigserial, source text);")
        await raw.close()
    producer, reader = (
        Database(postgres.url(names[0]), service="matching"),
        Database(postgres.url(names[1]), service="eligibility"),
    )
    for database in (producer, reader):
        async with database.transaction() as tx:
            await ensure_month_partitions(tx, business_today())
    with Broker() as broker:
        yield Bus(producer, reader, settings.model_copy(update={"kafka_bootstrap": broker.bootstrap}), broker)
    await producer.close()
    await reader.close()


@pytest.fixture
async def bus(postgres: PostgresServer, make_settings: Callable[..., Settings]) -> AsyncIterator[Bus]:
    async with bus_of(postgres, make_settings("")) as made:
        yield made


@pytest.fixture(scope="module")
async def running_bus(postgres: PostgresServer, issuer: Issuer) -> AsyncIterator[Bus]:
    """One bus with relay and consumer for all tests that need no restart: joining a group takes the broker 5 s."""
    settings = Settings(kafka_partitions=2, watermark_interval_s=0.1, outbox_poll_s=0.05)
    async with bus_of(postgres, settings) as made, Started(made):
        yield made


class Started:
    """The relay and one or more consumers of a bus, stopped at the end."""

    def __init__(self, bus: Bus, *, consumers: int = 1) -> None:
        projection = Projection(bus.reader, "eligibility", [Subscription(CertificateExpired, note)])
        self.relay = Relay(bus.producer, bus.settings)
        self.consumers = [
            Consumer(projection, bus.settings.model_copy(update={"worker_id": str(number)}), ["liangbu.matching"])
            for number in range(consumers)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Started:
        self._tasks = [asyncio.create_task(worker.run()) for worker in (self.relay, *self.consumers)]
        return self

    async def __aexit__(self, *error: Any) -> None:
        for worker in (self.relay, *self.consumers):
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*self._tasks), 15)


async def test_what_a_transaction_publishes_takes_effect_once_at_the_reader(running_bus: Bus) -> None:
    names = ["once a", "once b", "once c"]
    await running_bus.publish(*names)
    await eventually(lambda: _has(running_bus, names))


async def test_a_reader_at_rest_hears_what_comes(running_bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.consumer._QUIET_AFTER_S", 0)
    for name in ("into the quiet a", "into the quiet b"):
        await asyncio.sleep(0.3)
        await running_bus.publish(name)
        await eventually(lambda name=name: _has(running_bus, [name]))


async def test_many_events_of_one_transaction_leave_whole_and_in_their_order(running_bus: Bus) -> None:
    """Many go by COPY, few by INSERT."""
    few, many = [f"few {n}" for n in range(5)], [f"many {n}" for n in range(700)]
    await running_bus.publish(*few, person="p1-b")
    await running_bus.publish(*many, person="p1-b")
    await eventually(lambda: _has(running_bus, [*few, *many]))
    assert [name for name in await running_bus.seen() if name in {*few, *many}] == [*few, *many]


async def test_what_is_too_large_to_be_had_at_once_is_sent_and_taken_in_parts_and_in_its_order(
    running_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.outbox._CHUNK_BYTES", 3_000)
    monkeypatch.setattr("libs.common.consumer._BATCH_BYTES", 2_000)
    large = [f"large {number}" for number in range(40)]
    await running_bus.publish(*large, person="p1-c")
    await eventually(lambda: _has(running_bus, large))
    assert [name for name in await running_bus.seen() if name in large] == large
    async with running_bus.reader.transaction() as tx:
        found = await tx.connection.execute(
            text(
                "SELECT max(taken) FROM (SELECT count(*) AS taken FROM seen WHERE source LIKE 'large %' GROUP BY xmin)"
            )
        )
    assert 1 < found.scalar_one() < 10


async def test_a_topic_with_more_partitions_than_are_read_is_filled_in_those_alone(bus: Bus) -> None:
    """As one is that a broker makes by itself, started anew without its topics."""
    topic, meant = "liangbu.matching", bus.settings.kafka_partitions
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.settings.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2 * meant, 1)])
    await admin.close()
    names = [f"person {number}" for number in range(40)]
    for name in names:
        await bus.publish(name, person=name)
    async with Started(bus):
        await eventually(lambda: _has(bus, names))
    places = [TopicPartition(topic, number) for number in range(2 * meant)]
    async with AIOKafkaConsumer(bootstrap_servers=bus.settings.kafka_bootstrap) as consumer:
        ends = await consumer.end_offsets(places)
    assert [ends[place] > 0 for place in places] == [True] * meant + [False] * meant


async def test_finding_what_is_new_does_not_pass_through_what_was_published(databases: Databases) -> None:
    """Not through that of a month that the planner knows nothing of yet, either: the outbox keeps months."""
    database = Database(await databases.fresh("notification"), service="notification")
    async with database.transaction() as tx:
        await ensure_month_partitions(tx, business_today())
    connection = await asyncpg.connect(asyncpg_dsn(database.url))
    try:
        await connection.execute(
            "INSERT INTO outbox (event_id, topic, key, type, aggregate, version, body)"
            " SELECT uuidv7(), 't', 'k', 'published', 'a', 1, repeat('x', 500) FROM generate_series(1, 20000)"
        )
        await connection.execute("UPDATE relay_position SET low = pg_current_xact_id(), high = pg_current_xact_id()")
        new = await connection.fetchval(
            "INSERT INTO outbox (event_id, topic, key, type, aggregate, version, body)"
            " VALUES (uuidv7(), 't', 'k', 'new', 'a', 1, 'x') RETURNING xid::text"
        )
        for statement in (WHERE_IT_IS, FIRST_BETWEEN):
            asked = statement.replace("$1", f"'{new}'").replace("$2", f"'{int(new) + 1}'")
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) {asked}"))
            assert "Rows Removed by Filter" not in plan, plan
            assert "rows=20000" not in plan, plan
    finally:
        await connection.close()
        await database.close()


async def test_what_is_rolled_back_is_never_published(running_bus: Bus) -> None:
    with suppress(RuntimeError):
        async with running_bus.producer.transaction() as tx:
            tx.publish(expired("never"))
            raise RuntimeError
    await running_bus.publish("after")
    await eventually(lambda: _has(running_bus, ["after"]))
    assert "never" not in await running_bus.seen()


async def test_a_person_s_events_come_in_commit_order_though_a_long_transaction_is_open(running_bus: Bus) -> None:
    """The long one takes its transaction id first and the person's lock last."""
    shorts = [f"short {number}" for number in range(20)]
    async with running_bus.producer.transaction() as long:
        await long.connection.execute(text("SELECT pg_current_xact_id()"))
        for name in shorts:
            await running_bus.publish(name)
        await asyncio.sleep(0.3)
        assert not set(shorts) & set(await running_bus.seen()), "nothing at or above an open transaction is published"
        long.publish(expired("long"))
    await eventually(lambda: _has(running_bus, [*shorts, "long"]))
    seen = await running_bus.seen()
    assert [name for name in seen if name in {*shorts, "long"}] == [*shorts, "long"]


async def test_poison_is_set_aside_with_its_reason_and_loses_nothing_else(running_bus: Bus) -> None:
    await running_bus.publish("beside poison a", "poison", "beside poison b")
    await eventually(lambda: _has(running_bus, ["beside poison a", "beside poison b"]))
    letter = await eventually(lambda: _dead_letter(running_bus, "poison"))
    assert letter.type == "certificate.expired.v1"


async def test_what_is_no_event_is_set_aside_too(running_bus: Bus) -> None:
    async with AIOKafkaProducer(bootstrap_servers=running_bus.broker.bootstrap) as raw:
        await raw.send_and_wait("liangbu.matching", b"{not json", key=b"x")
    letter = await eventually(lambda: _dead_letter(running_bus, "CloudEvents"))
    assert letter.type is None


async def test_a_requested_replay_changes_nothing_at_a_reader_that_knows_it_all(running_bus: Bus) -> None:
    await running_bus.publish("replayed")
    await eventually(lambda: _has(running_bus, ["replayed"]))
    async with running_bus.producer.transaction() as tx:
        await request_replay(tx.connection)
    await running_bus.publish("after the replay")
    await eventually(lambda: _has(running_bus, ["after the replay"]))
    await asyncio.sleep(0.3)
    assert (await running_bus.seen()).count("replayed") == 1


async def test_after_the_broker_lost_everything_nothing_is_lost(bus: Bus) -> None:
    async with Started(bus):
        await bus.publish("a", "b")
        await eventually(lambda: _has(bus, ["a", "b"]))
        bus.broker.kill()
        await bus.publish("while it was away")
        await asyncio.sleep(0.5)
        bus.broker.start()
        await eventually(lambda: _has(bus, ["while it was away"]))
        await bus.publish("afterwards")
        await eventually(lambda: _has(bus, ["afterwards"]))
        assert sorted(await bus.seen()) == ["a", "afterwards", "b", "while it was away"]


async def test_events_that_the_lost_broker_never_delivered_are_published_again(bus: Bus) -> None:
    relay = Relay(bus.producer, bus.settings)
    task = asyncio.create_task(relay.run())
    await bus.publish("read by nobody")
    await eventually(lambda: _published(bus))
    relay.stop()
    await task
    bus.broker.kill()
    bus.broker.start()
    async with Started(bus):
        await eventually(lambda: _has(bus, ["read by nobody"]))


class Killed(BaseException):
    """The process is gone: nothing after this line happened."""


class KilledBeforeItIsTold(Relay):
    """Hands its events to the broker, and dies before it reads the first answer."""

    def _remember(self, topic: str, partition: int, offset: int) -> None:
        raise Killed


async def test_a_log_that_was_replaced_is_filled_though_its_first_writer_died_before_it_was_told(bus: Bus) -> None:
    async def publishes(relay: Relay) -> None:
        task = asyncio.create_task(relay.run())
        await eventually(lambda: _published(bus))
        relay.stop()
        await task

    await bus.publish("in the old log")
    await publishes(Relay(bus.producer, bus.settings))
    bus.broker.kill()
    bus.broker.start()
    async with bus.producer.transaction() as tx:  # past the old log's end in every partition
        for number in range(200):
            tx.publish(expired("in the new log", f"p1-{number}"))
    with pytest.raises(Killed):
        await KilledBeforeItIsTold(bus.producer, bus.settings).run()
    await publishes(Relay(bus.producer, bus.settings))
    assert "in the old log" in await _log(bus)


async def test_the_watermark_passes_a_moment_only_after_what_was_committed_before_it(running_bus: Bus) -> None:
    for number in range(10):
        await running_bus.publish(f"stop {number}", person=f"p1-{number}")
        asked_at = utc_now()
        await eventually(lambda at=asked_at: _watermark_past(running_bus, at))
        assert f"stop {number}" in await running_bus.seen()


async def test_an_open_transaction_holds_the_watermark_back(running_bus: Bus) -> None:
    async with running_bus.producer.transaction() as tx:
        await tx.connection.execute(text("SELECT pg_current_xact_id()"))
        await asyncio.sleep(0.3)
        asked_at = utc_now()
        await asyncio.sleep(0.7)
        assert not await _watermark_past(running_bus, asked_at)
    await eventually(lambda: _watermark_past(running_bus, asked_at))


async def test_a_second_consumer_takes_its_share_and_nothing_is_lost_or_doubled(bus: Bus) -> None:
    names = [f"n{number}" for number in range(30)]
    async with Started(bus, consumers=2):
        for number, name in enumerate(names):
            await bus.publish(name, person=f"p1-{number}")
            await asyncio.sleep(0.2)
        await eventually(lambda: _has(bus, names))
    assert sorted(await bus.seen()) == sorted(names)


async def test_months_older_than_kept_are_dropped_from_outbox_and_inbox_alike(bus: Bus) -> None:
    async with bus.producer.transaction() as tx:
        await ensure_month_partitions(tx, date(2020, 1, 15))
        dropped = await drop_old_partitions(tx, business_today())
        left = await tx.connection.execute(
            text("SELECT count(*) FROM pg_inherits WHERE inhparent IN ('outbox'::regclass, 'inbox'::regclass)")
        )
        assert left.scalar_one() == 20
    assert dropped == 20


async def test_a_daily_run_for_a_date_to_come_keeps_the_log_of_today(bus: Bus) -> None:
    await bus.publish("not published yet")
    async with bus.producer.transaction() as tx:
        assert await drop_old_partitions(tx, business_today().replace(year=business_today().year + 3, day=1)) == 0
        assert (await tx.connection.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 1


async def test_the_last_state_of_an_aggregate_outlives_the_months_that_are_kept(bus: Bus) -> None:
    await bus.publish("seven years old")
    async with bus.producer.transaction() as tx:
        await ensure_month_partitions(tx, date(2020, 1, 15))
        await tx.connection.execute(
            text(
                "UPDATE outbox SET created_on = '2020-01-15',"
                """ body = regexp_replace(body, '"time":"[^"]+"', '"time":"2020-01-15T00:00:00Z"')"""
            )
        )
        await drop_old_partitions(tx, business_today())
        body = (await tx.connection.execute(text("SELECT body FROM outbox"))).scalar_one()
    projection = Projection(bus.reader, "eligibility", [Subscription(CertificateExpired, note)])
    for _ in range(2):
        async with bus.reader.transaction() as tx:
            await projection.apply(tx, [projection.read(body.encode())])
    assert await bus.seen() == ["seven years old"]


async def _has(bus: Bus, names: list[str]) -> bool:
    return set(names) <= set(await bus.seen())


async def _log(bus: Bus) -> set[str]:
    """Who is named by the facts in the broker's log as it is now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bus.settings.kafka_bootstrap)
    async with consumer:
        places = [TopicPartition("liangbu.matching", number) for number in range(bus.settings.kafka_partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends, found = await consumer.end_offsets(places), set()
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found |= {json.loads(record.value)["data"].get("source") for record in records}
    return found


async def _dead_letter(bus: Bus, reason: str) -> Any:
    async with bus.reader.transaction() as tx:
        found = await tx.connection.execute(
            text("SELECT reason, type FROM dead_letters WHERE reason LIKE '%' || :reason || '%'"), {"reason": reason}
        )
        return found.one_or_none()


async def _published(bus: Bus) -> bool:
    async with bus.producer.transaction() as tx:
        found = await tx.connection.execute(
            text(
                "SELECT low = high AND NOT replaying AND offsets <> '{}'"
                " AND NOT EXISTS (SELECT FROM outbox WHERE xid >= high) FROM relay_position"
            )
        )
        return bool(found.scalar_one())


async def _watermark_past(bus: Bus, moment: datetime) -> bool:
    async with bus.reader.transaction() as tx:
        until = await read_watermark(
            tx.connection, ["liangbu.matching"], bus.settings.kafka_partitions, reader="eligibility"
        )
    return until is not None and until >= moment

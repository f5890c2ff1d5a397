"""The relay: publishes what transactions left in the outbox, in order, at least once.

Order. A sequence is not commit order, so a row is published only once no transaction at or below it can still commit:
when its transaction id is below `pg_snapshot_xmin`. Writers of one person hold that person's lock from before the
insert until their commit (`Transaction.lock`), so within a window of finished transactions the order of `seq` is the
order in which that person's changes were committed. The relay advances a position (window and seq); it marks no rows.

One leader. Of the processes of one service only the one that holds an advisory lock publishes.

A lost broker. Each acknowledged offset is remembered. An acknowledgement at or below it means that the log was replaced
by an empty one: the last event of each aggregate is published again, under a new incarnation id, which tells readers to
start over from the beginning of that log.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from aiokafka.partitioner import DefaultPartitioner
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.database import Database, asyncpg_dsn, is_transient, new_id
from libs.common.events.envelope import BULK_PRODUCERS, Envelope, bulk_topic_of, topic_of
from libs.common.settings import Settings
from libs.common.telemetry import OUTBOX_PUBLISHED, WATERMARK_AGE
from libs.common.watermark import WATERMARK_TYPE, Watermark

log = structlog.get_logger(__name__)

_CHUNK_ROWS = 5000
_CHUNK_BYTES = 16 << 20
"""Of events that are held in memory at once; some are of a hundred persons."""
_FETCHED_ROWS = 200
"""At once by a replay, which asks for no sizes beforehand."""
_LEADER_LOCK = 7002
_HELD_BACK_S = 0.002
"""Before events are looked at again that are committed, and wait for an older transaction to end; doubled each time."""
INCARNATION_HEADER = "incarnation"

# What was published stays in the outbox for months. Neither statement may pass through it, whatever the planner knows
# of a new partition: each asks for the order of the index by xid. (A bare `min` is sought from the beginning.)
WHERE_IT_IS = """
SELECT low::text::bigint AS low, high::text::bigint AS high, seq, replay_requested,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax, statement_timestamp() AS at,
    coalesce((SELECT xid FROM outbox ORDER BY xid DESC LIMIT 1) >= high, false) AS is_more
FROM relay_position
"""
FIRST_BETWEEN = """
WITH waiting AS MATERIALIZED (
    SELECT seq FROM outbox WHERE xid >= $1::text::xid8 AND xid < $2::text::xid8 ORDER BY xid, seq
)
SELECT min(seq) FROM waiting
"""


class BrokerLogReplaced(Exception):
    """The broker acknowledged an offset that was given before: its log is new."""


class Relay:
    """Publishes one service's outbox and its watermarks. `upstreams` are services whose facts this one passes on."""

    def __init__(self, database: Database, settings: Settings, *, upstreams: tuple[str, ...] = ()) -> None:
        self._database = database
        self._settings = settings
        self._service = database.service
        self._topics = [topic_of(self._service)]
        if self._service in BULK_PRODUCERS:
            self._topics.append(bulk_topic_of(self._service))
        self._upstream_topics = [topic_of(name) for name in upstreams]
        self._stopping = asyncio.Event()
        self._snapshots: deque[tuple[datetime, int]] = deque()
        self._published_until: datetime | None = None
        self._told: datetime | None = None
        self._told_at = 0.0
        self._incarnation = ""
        self._offsets: dict[str, int] = {}
        self._held_back_s = 0.0

    async def run(self) -> None:
        """Until `stop`; a lost database or broker is waited for."""
        pause_s = 0.1
        while not self._stopping.is_set():
            try:
                await self._lead()
                pause_s = 0.1
            except (KafkaError, asyncpg.PostgresError, OSError) as error:
                log.warning("relay_interrupted", service=self._service, error=type(error).__name__)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("relay_interrupted", service=self._service, error=type(error).__name__)
            await self._sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)

    def stop(self) -> None:
        self._stopping.set()
        self._database.tell_news()

    async def _lead(self) -> None:
        connection = await asyncpg.connect(asyncpg_dsn(self._database.url))
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LEADER_LOCK):
                await self._sleep(1.0)
                if self._stopping.is_set():
                    return
            await ensure_topics(self._settings, self._topics)
            async with _producer(self._settings) as producer:
                await self._publish_until_stopped(connection, producer)
        finally:
            connection.terminate()

    async def _publish_until_stopped(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        position = await _row(connection, "SELECT incarnation::text, offsets, replaying FROM relay_position")
        self._incarnation, self._offsets = position["incarnation"], json.loads(position["offsets"])
        self._snapshots.clear()
        self._published_until = self._told = None
        if position["replaying"]:
            await self._publish_all_again(connection, producer)
        while not self._stopping.is_set():
            news = self._database.next_news
            try:
                published = await self._publish_window(connection, producer)
                await self._tell_watermark(connection, producer)
            except BrokerLogReplaced:
                log.warning("broker_log_replaced", service=self._service)
                await ensure_topics(self._settings, self._topics)
                await self._publish_all_again(connection, producer)
                continue
            if not published:
                await self._wait_for(news)

    async def _publish_window(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> int:
        """Publishes the next chunk of finished transactions; how many events."""
        row = await _row(connection, WHERE_IT_IS)
        if row["replay_requested"]:
            await self._publish_latest(connection, producer)
            await connection.execute(
                "UPDATE relay_position SET replay_requested = false, offsets = $1", json.dumps(self._offsets)
            )
        self._snapshots.append((row["at"], row["xmax"]))
        low, high, seq = row["low"], row["high"], row["seq"]
        if low == high:
            first = None
            if row["is_more"]:
                first = await connection.fetchval(FIRST_BETWEEN, str(low), str(row["xmin"]))
            if first is None:
                self._advance_watermark(row["xmin"])
                if row["xmin"] > high + 1000:  # keep the index scan short while nothing is published
                    await self._save_position(connection, row["xmin"], row["xmin"], 0)
                self._held_back_s = max(self._held_back_s * 2, _HELD_BACK_S) if row["is_more"] else 0
                return 0
            high, seq = row["xmin"], first - 1
        self._held_back_s = 0
        batch = await connection.fetch(
            "SELECT seq, topic, key, body FROM ("
            "  SELECT *, sum(octet_length(body)) OVER (ORDER BY seq) - octet_length(body) AS bytes_before FROM ("
            "    SELECT seq, topic, key, body FROM outbox"
            "    WHERE seq > $1 AND xid >= $2::text::xid8 AND xid < $3::text::xid8 ORDER BY seq LIMIT $4) AS rows"
            ") AS sized WHERE bytes_before < $5 ORDER BY seq",
            seq, str(low), str(high), _CHUNK_ROWS, _CHUNK_BYTES,
        )  # fmt: skip
        if len(batch) > min(self._offsets.values(), default=len(batch)):
            # Into an empty log that has replaced this one we would write past its end. If we die before we are told,
            # the next offset shows nothing; so whoever comes after us shall fill that log.
            await connection.execute("UPDATE relay_position SET replaying = true")
        size = await self._send(producer, batch)
        if len(batch) < _CHUNK_ROWS and size < _CHUNK_BYTES:
            await self._save_position(connection, high, high, 0)
            self._advance_watermark(high)
        else:
            await self._save_position(connection, low, high, batch[-1]["seq"])
        return len(batch)

    async def _send(self, producer: AIOKafkaProducer, batch: list[Any]) -> int:
        """Sends them, and waits until the broker has them; how many bytes."""
        headers = [(INCARNATION_HEADER, self._incarnation.encode())]
        sent, size = [], 0
        for row in batch:
            value = row["body"].encode()
            size += len(value)
            sent.append(await producer.send(row["topic"], value, key=row["key"].encode(), headers=headers))
        for acknowledgement in await asyncio.gather(*sent):
            self._remember(acknowledgement.topic, acknowledgement.partition, acknowledgement.offset)
        OUTBOX_PUBLISHED.labels(self._service).inc(len(batch))
        return size

    def _remember(self, topic: str, partition: int, offset: int) -> None:
        place = f"{topic}/{partition}"
        if offset <= self._offsets.get(place, -1):
            raise BrokerLogReplaced
        self._offsets[place] = offset

    async def _save_position(self, connection: asyncpg.Connection, low: int, high: int, seq: int) -> None:
        await connection.execute(
            "UPDATE relay_position SET low = $1::text::xid8, high = $2::text::xid8, seq = $3, offsets = $4,"
            " replaying = false",
            str(low), str(high), seq, json.dumps(self._offsets),
        )  # fmt: skip

    async def _publish_all_again(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        """Fills a log that is new, under a new incarnation; goes on where it was interrupted only by starting over."""
        self._incarnation, self._offsets = str(new_id()), {}
        await connection.execute("UPDATE relay_position SET replaying = true")
        await self._publish_latest(connection, producer)
        await connection.execute(
            "UPDATE relay_position SET incarnation = $1, offsets = $2, replaying = false",
            UUID(self._incarnation),
            json.dumps(self._offsets),
        )
        self._told = None

    async def _publish_latest(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        """The last event of each aggregate, in the order in which they were written."""
        async with connection.transaction():
            cursor = connection.cursor(
                "SELECT seq, topic, key, body FROM (SELECT DISTINCT ON (aggregate) seq, topic, key, body FROM outbox"
                " ORDER BY aggregate, version DESC, seq DESC) AS latest ORDER BY seq",
                prefetch=_FETCHED_ROWS,
            )
            chunk: list[Any] = []
            size = 0
            async for row in cursor:
                chunk.append(row)
                size += len(row["body"])
                if len(chunk) == _CHUNK_ROWS or size >= _CHUNK_BYTES:
                    await self._send(producer, chunk)
                    chunk, size = [], 0
            if chunk:
                await self._send(producer, chunk)

    def _advance_watermark(self, published_below: int) -> None:
        """Everything committed before a snapshot's moment has an xid below that snapshot's xmax."""
        while self._snapshots and self._snapshots[0][1] <= published_below:
            self._published_until = self._snapshots.popleft()[0]
        while len(self._snapshots) > 1000:  # a long transaction holds the window: keep the coarse steps
            self._snapshots = deque(list(self._snapshots)[::2])

    async def _tell_watermark(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        until = self._published_until
        if until is not None and self._upstream_topics:
            until = await self._least_with_upstreams(connection, until)
        due = asyncio.get_running_loop().time() - self._told_at >= self._settings.watermark_interval_s
        if until is None or not due or (self._told is not None and until <= self._told):
            return
        sent = []
        for topic in self._topics:
            for partition in range(self._settings.kafka_partitions):
                mark = Watermark(until=until, after_offset=self._offsets.get(f"{topic}/{partition}", -1))
                envelope = Envelope(
                    id=new_id(), source=f"/liangbu/{self._service}", type=WATERMARK_TYPE, subject=topic, time=until,
                    data=mark.model_dump(mode="json"),
                )  # fmt: skip
                headers = [(INCARNATION_HEADER, self._incarnation.encode())]
                value = envelope.model_dump_json(exclude_none=True).encode()
                sent.append(await producer.send(topic, value, partition=partition, headers=headers))
        for acknowledgement in await asyncio.gather(*sent):
            self._remember(acknowledgement.topic, acknowledgement.partition, acknowledgement.offset)
        await connection.execute("UPDATE relay_position SET offsets = $1", json.dumps(self._offsets))
        self._told, self._told_at = until, asyncio.get_running_loop().time()
        WATERMARK_AGE.labels(self._service).set(until.timestamp())

    async def _least_with_upstreams(self, connection: asyncpg.Connection, own: datetime) -> datetime | None:
        row = await _row(connection,
            "SELECT count(until) AS told, min(until) AS least FROM watermarks"
            " WHERE reader = $1 AND topic = ANY($2) AND partition < $3",
            self._service, self._upstream_topics, self._settings.kafka_partitions,
        )  # fmt: skip
        if row["told"] < len(self._upstream_topics) * self._settings.kafka_partitions:
            return None
        least: datetime = row["least"]
        return min(own, least)

    async def _wait_for(self, news: asyncio.Event) -> None:
        poll_s = self._settings.outbox_poll_s
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._held_back_s or poll_s, poll_s)):
                await news.wait()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass


async def _row(connection: asyncpg.Connection, query: str, *arguments: Any) -> asyncpg.Record:
    """The one row that the query always has."""
    row = await connection.fetchrow(query, *arguments)
    assert row is not None
    return row


def _producer(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        acks="all",
        linger_ms=0,  # a chunk is handed over at once and fills batches by itself; a single event leaves at once
        max_batch_size=131072,
        enable_idempotence=settings.kafka_idempotence,
        request_timeout_ms=10_000,
        partitioner=_partitioner(settings.kafka_partitions),
    )


def _partitioner(count: int) -> Callable[[bytes, list[int], list[int]], int]:
    """Spreads keys over the first `count` partitions, which are all that are read and told watermarks: a topic may have
    more. The embedded broker, started anew, makes it with four as soon as a client asks for it."""
    by_hash = DefaultPartitioner()

    def partition_of(key: bytes, every: list[int], available: list[int]) -> int:
        partition: int = by_hash(key, every[:count], available)
        return partition

    return partition_of


async def ensure_topics(settings: Settings, topics: list[str]) -> None:
    """Creates the topics that are not there, with the fixed number of partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=10_000)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [
            NewTopic(topic, settings.kafka_partitions, settings.kafka_replication)
            for topic in topics
            if topic not in existing
        ]
        if missing:
            with suppress(TopicAlreadyExistsError):  # another replica was faster
                await admin.create_topics(missing)
    finally:
        await admin.close()


async def request_replay(connection: AsyncConnection) -> None:
    """Asks the leading relay to publish the last event of each aggregate again."""
    await connection.execute(text("UPDATE relay_position SET replay_requested = true"))

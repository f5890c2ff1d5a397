"""The consumer: a poll batch of events takes effect in one transaction (some, if it is large), each event once.

A whole batch is one transaction with its inbox marks. If a handler fails, the batch is rolled back and its events are
handled one by one; those that still fail are dead-lettered with their reason and can be retried. Transient faults (a
lost database, a deadlock) are waited out: nothing is skipped. Kafka offsets are committed after the database. The next
batch is fetched and decoded while the database takes the one before.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from sqlalchemy import text

from libs.common.database import is_transient
from libs.common.events.envelope import UnreadableEvent, read_envelope
from libs.common.outbox import INCARNATION_HEADER, ensure_topics
from libs.common.projection import Projection, Received
from libs.common.settings import Settings
from libs.common.telemetry import CONSUMER_RENEWALS, DEAD_LETTERS
from libs.common.watermark import Watermark, save_watermarks

log = structlog.get_logger(__name__)

_BATCH_RECORDS = 500
_BATCH_BYTES = 1 << 20
"""A transaction takes less than this, and at least one record: some are of a hundred persons."""
_POLL_S = 0.2
_BULK_PATIENCE = 10
"""How many times longer than others a reader of a bulk lane waits for news: nothing there is urgent."""
_QUIET_AFTER_S = 2.0
_QUIET_S = 0.1
"""How long a reader rests before each fetch once nothing but watermarks has come for `_QUIET_AFTER_S`."""


class _Record(NamedTuple):
    """One record of the bus, and what it says; None if that is nothing to this reader."""

    topic: str
    partition: int
    offset: int
    value: bytes
    says: Received | Watermark | UnreadableEvent | None


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What one fetch brought of one partition. `incarnation`: the newest that its records name, or empty."""

    records: list[_Record]
    incarnation: str


_Batch = dict[TopicPartition, _Fetched]


class Consumer:
    """Reads `topics` in the group of its projection and applies what it reads, until `stop`."""

    def __init__(self, projection: Projection, settings: Settings, topics: Sequence[str], *, lane: str = "") -> None:
        self._projection = projection
        self._database = projection.database
        self._settings = settings
        self._topics = list(topics)
        self._group = f"liangbu.{projection.name}{lane}{settings.kafka_group_suffix}"
        self._fetch_wait_ms = settings.kafka_fetch_wait_ms * (_BULK_PATIENCE if lane else 1)
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._heard_at = time.monotonic()
        self._stirred_at = time.monotonic()
        self._incarnations: dict[tuple[str, int], str] = {}
        self.is_ready = False

    async def run(self) -> None:
        """Until `stop`. A consumer that fails, or hears nothing for too long, is replaced by a new one."""
        pause_s = 0.1
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                await self._consume()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("consumer_interrupted", group=self._group, error=type(error).__name__)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("consumer_interrupted", group=self._group, error=type(error).__name__)
            finally:
                self.is_ready = False
            if not self._stopping.is_set():
                CONSUMER_RENEWALS.labels(self._projection.name).inc()
                pause_s = 0.1 if time.monotonic() - started > 30 else min(pause_s * 2, 5.0)
                await _sleep(self._stopping, pause_s * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)

    def stop(self) -> None:
        self._stopping.set()

    async def _consume(self) -> None:
        await ensure_topics(self._settings, self._topics)
        await self._load_incarnations()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=self._group,
            group_instance_id=self._instance_id(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=300_000,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            fetch_max_wait_ms=self._fetch_wait_ms,
            max_partition_fetch_bytes=4 << 20,
            request_timeout_ms=15_000,
        )
        consumer.subscribe(self._topics, listener=_DrainOnRevoke(self._idle))
        await consumer.start()
        try:
            await self._take_all(consumer)
        finally:
            await consumer.stop()

    async def _take_all(self, consumer: AIOKafkaConsumer) -> None:
        """Until `stop`, or until nothing was heard for too long."""
        self._heard_at = time.monotonic()
        ahead = asyncio.create_task(self._read(consumer))
        try:
            while not self._stopping.is_set():
                batch = await ahead
                for place in await self._start_over_where_log_is_new(consumer, batch):
                    del batch[place]
                ahead = asyncio.create_task(self._read(consumer))
                self.is_ready = self.is_ready or bool(consumer.assignment())
                if batch:
                    self._heard_at = time.monotonic()
                    await self._take(consumer, batch)
                elif time.monotonic() - self._heard_at > self._settings.consumer_silence_s:
                    log.warning("consumer_silent", group=self._group)
                    return
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _read(self, consumer: AIOKafkaConsumer) -> _Batch:
        """The next records of each partition, decoded."""
        wait_ms = int(_POLL_S * 1000)
        if time.monotonic() - self._stirred_at > _QUIET_AFTER_S:
            await self._rest(consumer)
            wait_ms = self._fetch_wait_ms
        found = await consumer.getmany(timeout_ms=wait_ms, max_records=_BATCH_RECORDS)
        batch = {
            place: _Fetched(
                [_Record(r.topic, r.partition, r.offset, r.value, self._projection.read(r.value)) for r in records],
                _incarnation_of(records),
            )
            for place, records in found.items()
        }
        if any(isinstance(record.says, Received) for fetched in batch.values() for record in fetched.records):
            self._stirred_at = time.monotonic()
        return batch

    async def _rest(self, consumer: AIOKafkaConsumer) -> None:
        """A moment in which the broker is not asked for news."""
        consumer.pause(*consumer.assignment())
        await _sleep(self._stopping, _QUIET_S)
        consumer.resume(*consumer.assignment())

    def _instance_id(self) -> str | None:
        return f"{self._group}-{self._settings.worker_id}" if self._settings.kafka_static_members else None

    async def _take(self, consumer: AIOKafkaConsumer, batch: _Batch) -> None:
        self._idle.clear()
        try:
            for records in _in_transactions([record for fetched in batch.values() for record in fetched.records]):
                await self._apply_patiently(records)
            with suppress(IllegalStateError):  # a partition was revoked meanwhile; its new owner meets the inbox
                await consumer.commit({place: fetched.records[-1].offset + 1 for place, fetched in batch.items()})
        finally:
            self._idle.set()

    async def _start_over_where_log_is_new(self, consumer: AIOKafkaConsumer, batch: _Batch) -> list[TopicPartition]:
        """A log that replaced a lost one may have grown past our position before we noticed: read it from its start.

        Nothing is read ahead meanwhile, and the batch before has been committed: no later commit skips the new log.
        """
        started_over = []
        for place, fetched in batch.items():
            key = (place.topic, place.partition)
            if fetched.incarnation <= self._incarnations.get(key, ""):  # UUIDv7: a later log has a greater one
                continue
            if key in self._incarnations and fetched.records[0].offset > 0:
                log.warning("log_is_new", topic=place.topic, partition=place.partition)
                started_over.append(place)
                try:
                    consumer.seek(place, 0)
                    await consumer.commit({place: 0})  # whoever goes on after us begins there too
                except IllegalStateError:  # the partition was revoked meanwhile; its new owner notices as we did
                    continue
            self._incarnations[key] = fetched.incarnation
            async with self._database.transaction() as tx:
                await save_watermarks(tx.connection, self._projection.name, {key: (None, UUID(fetched.incarnation))})
        return started_over

    async def _load_incarnations(self) -> None:
        async with self._database.transaction() as tx:
            found = await tx.connection.execute(
                text("SELECT topic, partition, incarnation::text FROM watermarks WHERE reader = :reader"),
                {"reader": self._projection.name},
            )
            self._incarnations = {(row.topic, row.partition): row.incarnation for row in found if row.incarnation}

    async def _apply_patiently(self, records: Sequence[_Record]) -> None:
        """Until the batch has taken effect or its poison is set aside; transient faults are waited out."""
        pause_s = 0.05
        while True:
            try:
                await self._apply(records)
                return
            except Exception as error:
                if is_transient(error):
                    if self._stopping.is_set():
                        raise
                    log.warning("batch_waits", group=self._group, error=type(error).__name__)
                    await _sleep(self._stopping, pause_s * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
                    pause_s = min(pause_s * 2, 5.0)
                elif len(records) > 1:
                    log.warning("batch_taken_singly", group=self._group, error=type(error).__name__)
                    for record in records:
                        await self._apply_patiently([record])
                    return
                else:
                    await self._set_aside(records[0], error)
                    return

    async def _apply(self, records: Sequence[_Record]) -> None:
        received: list[Received] = []
        seen: dict[tuple[str, int], tuple[datetime | None, UUID | None]] = {}
        for record in records:
            match record.says:
                case UnreadableEvent() as problem:
                    raise problem
                case Watermark() as mark if record.offset > mark.after_offset:
                    seen[record.topic, record.partition] = (mark.until, None)
                case Received() as event:
                    received.append(event)
        if not received and not seen:
            return
        traceparent = received[0].envelope.traceparent if received else None
        marking = self._projection.marking(received)
        async with self._database.transaction(traceparent=traceparent, opening=marking) as tx:
            await self._projection.take_fresh(tx, received, tx.opened.fresh)
            await save_watermarks(tx.connection, self._projection.name, seen)

    async def _set_aside(self, record: _Record, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, UnreadableEvent) else repr(error)[:2000]
        try:
            envelope = read_envelope(record.value)
        except UnreadableEvent:
            envelope = None
        place = f"{record.topic}/{record.partition}/{record.offset}"
        log.error("dead_letter", group=self._group, place=place, error=type(error).__name__)
        async with self._database.transaction() as tx:
            await tx.connection.execute(
                text(
                    'INSERT INTO dead_letters (projection, topic, partition, "offset", event_id, type, body, reason)'
                    " VALUES (:projection, :topic, :partition, :offset, :event_id, :type, :body, :reason)"
                    ' ON CONFLICT (projection, event_id, topic, partition, "offset") DO UPDATE'
                    " SET reason = excluded.reason, attempts = dead_letters.attempts + 1, failed_at = now()"
                ),
                {
                    "projection": self._projection.name,
                    "topic": record.topic,
                    "partition": record.partition,
                    "offset": record.offset,
                    "event_id": envelope.id if envelope else None,
                    "type": envelope.type if envelope else None,
                    "body": record.value,
                    "reason": reason,
                },
            )
            if envelope is not None:
                await self._projection.tell_set_aside(tx, envelope)
        DEAD_LETTERS.labels(self._projection.name).inc()


class _DrainOnRevoke(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Before partitions go to another member, the batch in hand is finished, for as long as a rebalance allows."""

    def __init__(self, idle: asyncio.Event) -> None:
        self._idle = idle

    async def on_partitions_revoked(self, revoked: Any) -> None:
        try:
            async with asyncio.timeout(8):
                await self._idle.wait()
        except TimeoutError:
            pass  # the inbox keeps what the new owner reads again from taking effect twice

    async def on_partitions_assigned(self, assigned: Any) -> None:
        return


def _in_transactions(records: Sequence[_Record]) -> Iterator[list[_Record]]:
    """The records that one transaction after another takes."""
    taken: list[_Record] = []
    size = 0
    for record in records:
        if taken and size + len(record.value) > _BATCH_BYTES:
            yield taken
            taken, size = [], 0
        taken.append(record)
        size += len(record.value)
    if taken:
        yield taken


def _incarnation_of(records: Sequence[Any]) -> str:
    named = {value for record in records for name, value in record.headers if name == INCARNATION_HEADER}
    return max(named, default=b"").decode()


async def _sleep(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass

"""Rebuilding: a part of what a service keeps of others' events is emptied and filled again from the bus.

It is one transaction, so that nobody reads the part half filled, and what the service is told meanwhile waits behind
it. Of each aggregate only the newest state is applied: a state that was superseded long ago must not have effects
again. A replay at the producers beforehand makes sure that the log holds the newest state of every aggregate, whatever
its retention; `liangbu rebuild` asks for it. The inbox is left alone: it says what was taken, not what is kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.envelope import BULK_PRODUCERS, EventData, bulk_topic_of, topic_of
from libs.common.outbox import ensure_topics
from libs.common.projection import Projection, Received
from libs.common.settings import Settings

_CHUNKS = {False: 500, True: 5}
"""So many states at once of single persons and other things, and then of those that tell of many persons."""


@dataclass(frozen=True, slots=True)
class Rebuildable:
    """A part that can be rebuilt: the tables that are emptied, in this order, and the events that fill them again."""

    name: str
    tables: tuple[str, ...]
    events: tuple[type[EventData], ...]

    @property
    def producers(self) -> list[str]:
        return sorted({event.producer for event in self.events})

    @property
    def topics(self) -> list[str]:
        bulk = [bulk_topic_of(name) for name in self.producers if name in BULK_PRODUCERS]
        return [topic_of(name) for name in self.producers] + bulk


async def rebuild(tx: Transaction, projection: Projection, part: Rebuildable, settings: Settings) -> int:
    """Empties and fills `part` in the caller's transaction; how many states it was filled with."""
    await projection.hold_off(tx)
    for table in part.tables:
        await tx.connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 (a name in the service's own code)
    await _gather_newest(tx, projection, part, settings)
    return sum([await _fill(tx, projection, of_many) for of_many in (False, True)])


async def _fill(tx: Transaction, projection: Projection, of_many: bool) -> int:
    """Of many at once come last: what was told of one of them alone since is newer, and was applied then."""
    filled, after = 0, ""
    while True:
        found = await tx.connection.execute(
            text(
                "SELECT aggregate, body FROM told WHERE of_many = :of_many AND aggregate > :after"
                " ORDER BY aggregate LIMIT :chunk"
            ),
            {"of_many": of_many, "after": after, "chunk": _CHUNKS[of_many]},
        )
        states = found.all()
        if not states:
            return filled
        await projection.take(tx, [item for row in states if isinstance(item := projection.read(row.body), Received)])
        filled, after = filled + len(states), states[-1].aggregate


async def _gather_newest(tx: Transaction, projection: Projection, part: Rebuildable, settings: Settings) -> None:
    """The newest state of each aggregate that the log tells, in a table that ends with the transaction."""
    await tx.connection.execute(
        text(
            'CREATE TEMP TABLE told (of_many boolean, aggregate text COLLATE "C", version bigint NOT NULL,'
            " body bytea NOT NULL, PRIMARY KEY (of_many, aggregate)) ON COMMIT DROP"
        )
    )
    async for values in _log(settings, part.topics):
        newest: dict[tuple[bool, str], tuple[int, bytes]] = {}
        for value in values:
            item = projection.read(value)  # what cannot be read is among the dead letters already
            if not isinstance(item, Received) or not isinstance(item.data, part.events):
                continue
            key = (not item.data.person_id, item.data.aggregate)
            if item.data.aggregate_version >= newest.get(key, (0, b""))[0]:
                newest[key] = (item.data.aggregate_version, value)
        await tx.connection.execute(
            text(
                "INSERT INTO told SELECT * FROM unnest(CAST(:of_many AS boolean[]), CAST(:aggregates AS text[]),"
                " CAST(:versions AS bigint[]), CAST(:bodies AS bytea[])) ON CONFLICT (of_many, aggregate) DO UPDATE"
                " SET version = excluded.version, body = excluded.body WHERE told.version <= excluded.version"
            ),
            {
                "of_many": [of_many for of_many, _ in newest],
                "aggregates": [aggregate for _, aggregate in newest],
                "versions": [version for version, _ in newest.values()],
                "bodies": [body for _, body in newest.values()],
            },
        )


async def _log(settings: Settings, topics: Sequence[str]) -> AsyncIterator[list[bytes]]:
    """The values of all records that the topics hold now, batch by batch."""
    await ensure_topics(settings, list(topics))
    places = [TopicPartition(topic, number) for topic in topics for number in range(settings.kafka_partitions)]
    reader = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, max_partition_fetch_bytes=4 << 20)
    async with reader:
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        while unread := [place for place in places if await reader.position(place) < ends[place]]:
            found = await reader.getmany(*unread, timeout_ms=1000)
            yield [record.value for records in found.values() for record in records]

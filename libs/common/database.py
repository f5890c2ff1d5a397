"""One transaction in, one out: the unit in which a request or an event batch takes effect.

A `Transaction` holds the effects, the inbox marks and the outgoing events; it commits once, at the edge (`web.py`,
`consumer.py`, a worker), never in a handler.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from uuid_utils.compat import uuid7

from libs.common.events.envelope import EventData, bulk_topic_of, topic_of, write_envelope

_LOCK_BUCKETS = 1024  # bounds the lock table when a bulk job locks ten thousand persons


def new_id() -> UUID:
    """A UUIDv7: grows with time, so that new rows land at the end of an index."""
    return uuid7()


@dataclass(frozen=True, slots=True)
class _Outgoing:
    event_id: UUID
    data: EventData
    bulk: bool


@dataclass(slots=True)
class Transaction:
    """What a handler works with. `connection` is inside one database transaction; `now` is that transaction's time."""

    connection: AsyncConnection
    service: str
    now: datetime
    traceparent: str | None = None
    _outgoing: list[_Outgoing] = field(default_factory=list)
    _held: set[str] = field(default_factory=set)
    """Keys whose locks are held already; they are until the end of the transaction."""

    async def lock(self, *keys: str) -> None:
        """Serialises writers of these persons or aggregates until the transaction ends; taken in a fixed order.

        Take it before reading what will be changed: the outbox then lists a person's events in commit order.
        """
        wanted = set(keys) - self._held
        if wanted:
            await self.connection.execute(_LOCK, {"keys": list(wanted), "buckets": _LOCK_BUCKETS})
            self._held |= wanted

    def publish(self, data: EventData, *, event_id: UUID | None = None, bulk: bool = False) -> UUID:
        """Queues an event; it leaves with the commit. Give `event_id` when fields were sealed for it."""
        identity = event_id or new_id()
        self._outgoing.append(_Outgoing(identity, data, bulk))
        return identity

    async def flush(self) -> None:
        """Writes the queued events into the outbox, behind the locks of their keys."""
        if not self._outgoing:
            return
        await self.lock(*{outgoing.data.key for outgoing in self._outgoing})
        columns: dict[str, list[Any]] = {
            name: [] for name in ("event_id", "topic", "key", "type", "aggregate", "version", "body")
        }
        for outgoing in self._outgoing:
            data = outgoing.data
            columns["event_id"].append(outgoing.event_id)
            columns["topic"].append((bulk_topic_of if outgoing.bulk else topic_of)(self.service))
            columns["key"].append(data.key)
            columns["type"].append(data.type)
            columns["aggregate"].append(data.aggregate)
            columns["version"].append(data.aggregate_version)
            columns["body"].append(
                write_envelope(
                    data,
                    event_id=outgoing.event_id,
                    source=self.service,
                    time=self.now,
                    traceparent=self.traceparent,
                )
            )
        await self.connection.execute(_INSERT_OUTBOX, columns)
        self._outgoing.clear()


_NOW = text("SELECT clock_timestamp()")
_LOCK = text(
    "SELECT pg_advisory_xact_lock(7001, bucket) FROM (SELECT DISTINCT"
    " abs(hashtextextended(key, 0) % :buckets)::int AS bucket"
    " FROM unnest(CAST(:keys AS text[])) AS key ORDER BY 1) AS sorted"
)
_INSERT_OUTBOX = text(
    "INSERT INTO outbox (event_id, topic, key, type, aggregate, version, body)"
    " SELECT * FROM unnest(CAST(:event_id AS uuid[]), CAST(:topic AS text[]), CAST(:key AS text[]),"
    " CAST(:type AS text[]), CAST(:aggregate AS text[]), CAST(:version AS bigint[]), CAST(:body AS text[]))"
)


class Database:
    """The engine of one service, and where its transactions come from."""

    def __init__(self, url: str, *, service: str, pool_size: int = 10) -> None:
        self.service = service
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            hide_parameters=True,  # errors are logged; what was bound may be personal
            json_serializer=lambda value: json.dumps(value, ensure_ascii=False),
            connect_args={"server_settings": {"timezone": "UTC", "application_name": f"liangbu-{service}"}},
        )
        self.committed = asyncio.Event()
        """Set at each commit that published something; the relay waits on it."""

    @asynccontextmanager
    async def transaction(self, *, traceparent: str | None = None) -> AsyncIterator[Transaction]:
        """Commits when the block ends, rolls back when it raises."""
        async with self.engine.begin() as connection:
            now = (await connection.execute(_NOW)).scalar_one()
            transaction = Transaction(connection, self.service, now, traceparent)
            yield transaction
            published = bool(transaction._outgoing)
            await transaction.flush()
        if published:
            self.committed.set()

    async def close(self) -> None:
        await self.engine.dispose()


def asyncpg_dsn(url: str) -> str:
    """The same database for asyncpg itself."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def is_transient(error: BaseException) -> bool:
    """True for faults that pass: a lost or refused connection, a deadlock, a serialisation failure, a restart."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = getattr(error.orig, "__cause__", None) or error
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # asyncpg's DataError is an InterfaceError too, and does not pass
    return isinstance(error, _TRANSIENT)


_TRANSIENT: tuple[type[BaseException], ...] = (
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    asyncpg.PostgresConnectionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,  # what asyncpg raises when the server dies in the middle of its answer
)


def rows(result: Any) -> Sequence[dict[str, Any]]:
    """A result's rows as plain dictionaries."""
    return [dict(row) for row in result.mappings()]

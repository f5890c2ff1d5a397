"""One transaction in, one out: the unit in which a request or an event batch takes effect.

A `Transaction` holds the effects, the inbox marks and the outgoing events; it commits once, at the edge (`web.py`,
`consumer.py`, a worker), never in a handler.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Executable, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from uuid_utils.compat import uuid7

from libs.common.events.envelope import EventData, bulk_topic_of, topic_of, write_envelope


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
    opened: Any = None
    """The row that the transaction's first statement answered, where it was asked more than the time."""
    _outgoing: list[_Outgoing] = field(default_factory=list)
    _deeds: list[Mapping[str, Any]] = field(default_factory=list)
    _answers: list[Mapping[str, Any]] = field(default_factory=list)
    _held: set[str] = field(default_factory=set)
    """Keys whose locks are held already; they are until the end of the transaction."""

    async def lock(self, *keys: str) -> None:
        """Serialises writers of these persons or aggregates until the transaction ends; taken in a fixed order.

        Take it before reading what will be changed: the outbox then lists a person's events in commit order.
        """
        wanted = set(keys) - self._held
        if wanted:
            await self.connection.execute(_LOCK, {"keys": list(wanted)})
            self._held |= wanted

    def publish(self, data: EventData, *, event_id: UUID | None = None, bulk: bool = False) -> UUID:
        """Queues an event; it leaves with the commit. Give `event_id` when fields were sealed for it."""
        identity = event_id or new_id()
        self._outgoing.append(_Outgoing(identity, data, bulk))
        return identity

    def holds(self, *keys: str) -> None:
        """Notes that a statement of the caller's own has taken these locks (`lock_keys` in SQL)."""
        self._held |= set(keys)

    def note_deed(self, entry: Mapping[str, Any]) -> None:
        """Queues an entry of the audit log; it is written with the commit."""
        self._deeds.append(entry)

    def remember_answer(self, answer: Mapping[str, Any]) -> None:
        """Queues the answer under an idempotency key; it is written with the commit."""
        self._answers.append(answer)

    async def flush(self) -> None:
        """Writes what was queued, in one round trip: events behind the locks of their keys, deeds and answers."""
        if self._outgoing:
            await self.lock(*{outgoing.data.key for outgoing in self._outgoing})
        events = _OUTBOX.columns([self._outbox_row(outgoing) for outgoing in self._outgoing])
        if self._deeds or self._answers:
            others = _AUDIT_LOG.columns(self._deeds) | _IDEMPOTENCY_KEYS.columns(self._answers)
            await self.connection.execute(_INSERT_ALL, events | others)
        elif self._outgoing:
            await self.connection.execute(_INSERT_EVENTS, events)
        self._outgoing.clear()
        self._deeds.clear()
        self._answers.clear()

    def _outbox_row(self, outgoing: _Outgoing) -> dict[str, Any]:
        data = outgoing.data
        body = write_envelope(
            data, event_id=outgoing.event_id, source=self.service, time=self.now, traceparent=self.traceparent
        )
        return {
            "event_id": outgoing.event_id,
            "topic": (bulk_topic_of if outgoing.bulk else topic_of)(self.service),
            "key": data.key,
            "type": data.type,
            "aggregate": data.aggregate,
            "version": data.aggregate_version,
            "body": body,
        }


_LOCK = text("SELECT lock_keys(:keys)")
Opening = tuple[Executable, Mapping[str, Any]]
"""A statement with its parameters whose one row has the time as `now`, and more."""

_NOW: Opening = (text("SELECT clock_timestamp() AS now"), {})


@dataclass(frozen=True)
class _Appended:
    """A table that rows are only appended to, all of a transaction in one statement: its columns with their types."""

    table: str
    types: Mapping[str, str]

    @property
    def insert(self) -> str:
        arrays = ", ".join(f"CAST(:{self.table}_{name} AS {kind}[])" for name, kind in self.types.items())
        return f"INSERT INTO {self.table} ({', '.join(self.types)}) SELECT * FROM unnest({arrays})"  # noqa: S608 (constants)

    def columns(self, written: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """The rows as the parameters of `insert`."""
        return {f"{self.table}_{name}": [row[name] for row in written] for name in self.types}


_OUTBOX = _Appended(
    "outbox",
    {
        "event_id": "uuid",
        "topic": "text",
        "key": "text",
        "type": "text",
        "aggregate": "text",
        "version": "bigint",
        "body": "text",
    },
)
_AUDIT_LOG = _Appended(
    "audit_log",
    {
        "sub": "text",
        "role": "text",
        "area": "text",
        "action": "text",
        "object": "text",
        "person_id": "text",
        "reason": "text",
        "detail": "jsonb",
        "request_id": "text",
    },
)
_IDEMPOTENCY_KEYS = _Appended(
    "idempotency_keys",
    {
        "sub": "text",
        "route": "text",
        "key": "text",
        "digest": "text",
        "status": "integer",
        "headers": "jsonb",
        "body": "bytea",
    },
)
_INSERT_EVENTS = text(_OUTBOX.insert)
_INSERT_ALL = text(f"WITH told AS ({_OUTBOX.insert}), done AS ({_AUDIT_LOG.insert}) {_IDEMPOTENCY_KEYS.insert}")


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
    async def transaction(
        self, *, traceparent: str | None = None, opening: Opening = _NOW
    ) -> AsyncIterator[Transaction]:
        """Commits when the block ends, rolls back when it raises. `opening` asks more of its first round trip."""
        async with self.engine.begin() as connection:
            opened = (await connection.execute(*opening)).one()
            transaction = Transaction(connection, self.service, opened.now, traceparent, opened)
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

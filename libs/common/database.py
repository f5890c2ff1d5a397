"""One transaction in, one out: the unit in which a request or an event batch takes effect.

A `Transaction` holds the effects, the inbox marks and the outgoing events; it commits once, at the edge (`web.py`,
`consumer.py`, a worker), never in a handler.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import socket
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg.pgproto.pgproto import UUID as DriverUUID
from pydantic_core import from_json, to_json
from sqlalchemy import ColumnElement, Executable, String, Table, any_, literal, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn
from uuid_utils import uuid7

from libs.common.clock import utc_now
from libs.common.errors import Unavailable
from libs.common.events.envelope import EventData, bulk_topic_of, topic_of, write_envelope


def new_id() -> UUID:
    """A UUIDv7: grows with time, so that new rows land at the end of an index. As the driver's UUID, which is written
    several times as fast as Python's own."""
    return DriverUUID(uuid7().bytes)


class Unforeseen(Exception):
    """What a transaction took for granted does not hold, or it has to read after all. It wrote nothing. `found`: what
    is so instead, if that was told."""

    def __init__(self, found: Any = None) -> None:
        super().__init__()
        self.found = found


def among(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """The condition that the column holds one of any number of values: one statement, however many they are."""
    return column == any_(literal(list(values), ARRAY(String)))


_FEW = 2
"""So many rows are written value by value; more, column by column. An array costs as much as several values."""


@dataclass(frozen=True, eq=False)
class Appended:
    """A table that rows are only appended to, all of a transaction in one statement: its columns with their types."""

    table: str
    types: Mapping[str, str]

    def insert(self, first: int, count: int, where: str = "") -> str:
        """The statement for so many rows; its parameters are numbered from `first`."""
        if count <= _FEW:
            place = itertools.count(first)
            values = [", ".join(f"${next(place)}::{kind}" for kind in self.types.values()) for _ in range(count)]
            rows = f"(VALUES ({'), ('.join(values)}))"
        else:
            arrays = [f"${place}::{kind}[]" for place, kind in enumerate(self.types.values(), start=first)]
            rows = f"unnest({', '.join(arrays)})"
        return f"INSERT INTO {self.table} ({', '.join(self.types)}) SELECT * FROM {rows} AS given {where}"  # noqa: S608 (constants)

    def parameters(self, written: Sequence[Mapping[str, Any]]) -> list[Any]:
        if len(written) <= _FEW:
            return [row[name] for row in written for name in self.types]
        return [[row[name] for row in written] for name in self.types]

    def width(self, count: int) -> int:
        """How many parameters so many rows have."""
        return len(self.types) * (count if count <= _FEW else 1)


@dataclass(frozen=True, eq=False)
class Filled:
    """A table that rows of many columns, some of them arrays, go into: all of a transaction as one JSON.

    `then` ends the statement, e.g. with what to do on a conflict."""

    table: str
    columns: Sequence[str]
    then: str = ""

    def insert(self, first: int, count: int = 1, where: str = "") -> str:
        columns = ", ".join(self.columns)
        rows = f"jsonb_populate_recordset(NULL::{self.table}, ${first}::jsonb)"
        return f"INSERT INTO {self.table} ({columns}) SELECT {columns} FROM {rows} {where} {self.then}"  # noqa: S608 (constants)

    def parameters(self, written: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [to_json(written).decode()]

    def width(self, count: int) -> int:
        return 1


def replacing(table: Table, *, but: Collection[str] = (), newest: bool = False) -> Filled:
    """A table whose rows are replaced, key by key, but for some columns; with `newest`, by those of a greater version
    only."""
    keys = [column.name for column in table.primary_key]
    kept = [column.name for column in table.c if column.name not in (*keys, *but)]
    changes = ", ".join(f"{name} = excluded.{name}" for name in kept)
    then = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    return Filled(
        table.name, (*keys, *kept), f"{then} WHERE {table.name}.version < excluded.version" if newest else then
    )


_OUTBOX = Appended(
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
_AUDIT_LOG = Appended(
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
_IDEMPOTENCY_KEYS = Appended(
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


_MANY = 50
"""So many events go by COPY: a round trip more, and half the work for each."""


@functools.lru_cache(maxsize=256)
def _writing(tables: Sequence[tuple[Appended | Filled, int]], conditions: Sequence[tuple[str, int]] = ()) -> str:
    """One statement that inserts so many rows into each; what refers from one to another is checked at its end.

    `conditions` are functions with their numbers of parameters, which come first. They are asked one after the other,
    before anything else; once one tells what is so `otherwise`, nothing is inserted.
    """
    place, calls = 1, []
    for function, count in conditions:
        calls.append(f"{function}({', '.join(f'${number}' for number in range(place, place + count))})")
        place += count
    where = "WHERE (SELECT otherwise IS NULL FROM provided)" if conditions else ""
    named = [f"provided AS MATERIALIZED (SELECT coalesce({', '.join(calls or ['NULL'])}) AS otherwise)"]
    for table, count in tables:
        named.append(f"to_{table.table} AS ({table.insert(place, count, where)})")
        place += table.width(count)
    return f"WITH {', '.join(named)} SELECT otherwise FROM provided"  # noqa: S608 (constants)


@dataclass(slots=True)
class Transaction:
    """What a handler works with. `connection` is inside one database transaction; `now` is that transaction's time."""

    _connection: AsyncConnection | None
    service: str
    now: datetime
    traceparent: str | None = None
    opened: Any = None
    """The row that the transaction's first statement answered, where it was asked more than the time."""
    found: Any = None
    """Of one that `foresees` for the second time: what was so otherwise the first time."""
    has_news: bool = False
    """Events or deeds were written: there may be work for whoever waits for it."""
    _queued: dict[Appended | Filled, list[Mapping[str, Any]]] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)
    """Keys whose locks are held already; they are until the end of the transaction."""
    _conditions: list[tuple[str, Sequence[Any]]] = field(default_factory=list)

    @property
    def foresees(self) -> bool:
        """Whether it reads nothing: what its handler takes for granted is `provided`, and tried as it is written."""
        return self._connection is None

    @property
    def connection(self) -> AsyncConnection:
        if self._connection is None:
            raise Unforeseen
        return self._connection

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """The rows of a statement of every request, through asyncpg itself in the same transaction (ADR 0015)."""
        found: Sequence[Any] = await self.driver.fetch(statement, *parameters)
        return found

    @property
    def driver(self) -> Any:
        """The connection as asyncpg has it."""
        proxied = self.connection.sync_connection
        assert proxied is not None
        return proxied.connection.driver_connection

    async def lock(self, *keys: str) -> None:
        """Serialises writers of these persons or aggregates until the transaction ends; taken in a fixed order.

        Take it before reading what will be changed: the outbox then lists a person's events in commit order.
        """
        wanted = set(keys) - self._held
        if wanted:
            await self.fetch("SELECT lock_keys($1)", list(wanted))
            self._held |= wanted

    def holds(self, *keys: str) -> None:
        """Notes that a statement of the caller's own has taken these locks (`lock_keys` in SQL)."""
        self._held |= set(keys)

    def publish(self, data: EventData, *, event_id: UUID | None = None, bulk: bool = False) -> UUID:
        """Queues an event; it leaves with the commit. Give `event_id` when fields were sealed for it."""
        identity = event_id or new_id()
        body = write_envelope(data, event_id=identity, source=self.service, time=self.now, traceparent=self.traceparent)
        self.append(
            _OUTBOX,
            {
                "event_id": identity,
                "topic": (bulk_topic_of if bulk else topic_of)(self.service),
                "key": data.key,
                "type": data.type,
                "aggregate": data.aggregate,
                "version": data.aggregate_version,
                "body": body,
            },
        )
        return identity

    def note_deed(self, entry: Mapping[str, Any]) -> None:
        """Queues an entry of the audit log; it is written with the commit."""
        self.append(_AUDIT_LOG, entry)

    def remember_answer(self, answer: Mapping[str, Any]) -> None:
        """Queues the answer under an idempotency key; it is written with the commit."""
        self.append(_IDEMPOTENCY_KEYS, answer)

    def append(self, table: Appended | Filled, row: Mapping[str, Any]) -> None:
        """Queues a row; it is written with the commit, or by `flush` for whoever reads it before."""
        self._queued.setdefault(table, []).append(row)

    async def fill(self, table: Filled, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes rows at once, in one statement; of several with one key none may be meant to replace another."""
        if rows:
            await self.fetch(table.insert(1), *table.parameters(rows))

    def provided(self, function: str, *parameters: Any) -> None:
        """Lets what is queued be written only if this function of the database answers NULL; else it tells, as JSON,
        what is so (false: nothing that helps). For one that `foresees`. The function takes the locks that its answer
        needs to stay true, and those of the persons that events are about."""
        self._conditions.append((function, parameters))

    async def write_alone(self, driver: Any) -> None:
        """Writes what was queued by one statement, a whole transaction, through a connection as asyncpg has it.
        Unforeseen when a condition does not hold."""
        tables = self._queued_tables()
        statement = _writing(tables, tuple((function, len(given)) for function, given in self._conditions))
        conditions = [value for _, given in self._conditions for value in given]
        otherwise = await driver.fetchval(statement, *conditions, *self._parameters(tables))
        if otherwise is not None:
            raise Unforeseen(otherwise)

    async def flush(self) -> None:
        """Writes what was queued, in one round trip: events behind the locks of their keys; many of them by COPY."""
        events = self._queued.get(_OUTBOX, [])
        if events:
            await self.lock(*{row["key"] for row in events})
        self.has_news |= bool(events) or _AUDIT_LOG in self._queued
        if len(events) >= _MANY:
            records = [tuple(row.values()) for row in events]
            await self.driver.copy_records_to_table("outbox", records=records, columns=list(events[0]))
            del self._queued[_OUTBOX]
        if not self._queued:
            return
        tables = self._queued_tables()
        await self.fetch(_writing(tables), *self._parameters(tables))
        self._queued.clear()

    def _queued_tables(self) -> tuple[tuple[Appended | Filled, int], ...]:
        """With how many rows each; many are many, whatever their number."""
        tables = sorted(self._queued, key=lambda table: table.table)
        return tuple((table, min(len(self._queued[table]), _FEW + 1)) for table in tables)

    def _parameters(self, tables: Sequence[tuple[Appended | Filled, int]]) -> list[Any]:
        return [given for table, _ in tables for given in table.parameters(self._queued[table])]


Opening = tuple[Executable, Mapping[str, Any]]
"""A statement with its parameters whose one row has the time as `now`, and more."""

_NOW: Opening = (text("SELECT clock_timestamp() AS now"), {})


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
            json_deserializer=from_json,  # in a third of the time that json takes
            connect_args={"server_settings": {"timezone": "UTC", "application_name": f"liangbu-{service}"}},
        )
        self.next_news = asyncio.Event()
        """Set at the next commit of this process that has news, and then replaced: whoever takes it before it looks for
        work misses nothing."""

    @asynccontextmanager
    async def transaction(
        self, *, traceparent: str | None = None, opening: Opening = _NOW
    ) -> AsyncIterator[Transaction]:
        """Commits when the block ends, rolls back when it raises. `opening` asks more of its first round trip."""
        async with self.engine.begin() as connection:
            opened = (await connection.execute(*opening)).one()
            transaction = Transaction(connection, self.service, opened.now, traceparent, opened)
            yield transaction
            await transaction.flush()
        if transaction.has_news:
            self.tell_news()

    @asynccontextmanager
    async def foreseen(self, *, traceparent: str | None = None, found: Any = None) -> AsyncIterator[Transaction]:
        """A transaction that is one statement, in one round trip when the block ends (ADR 0017).

        The block reads nothing; it says by `provided` what it takes for granted. Unforeseen when it has to read, or
        something of that does not hold: nothing was written. With what is then told as `found` it may be tried once
        more; else `transaction` is the way.
        """
        transaction = Transaction(None, self.service, utc_now(), traceparent, found=found)
        yield transaction
        lent = await self.engine.raw_connection()
        driver: Any = lent.driver_connection
        try:
            await transaction.write_alone(driver)
        finally:
            if driver.is_closed():  # SQLAlchemy, which was not asked, would hand it out again
                lent.invalidate()
            await greenlet_spawn(lent.close)
        self.tell_news()

    def tell_news(self) -> None:
        """Wakes whoever waits for work to do."""
        self.next_news.set()
        self.next_news = asyncio.Event()

    async def close(self) -> None:
        await self.engine.dispose()


def asyncpg_dsn(url: str) -> str:
    """The same database for asyncpg itself."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def is_transient(error: BaseException) -> bool:
    """True for faults that pass: a lost or refused connection, a deadlock, a serialisation failure, a restart, a part
    that is not there now."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = getattr(error.orig, "__cause__", None) or error
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # asyncpg's DataError is an InterfaceError too, and does not pass
    return isinstance(error, _TRANSIENT)


_TRANSIENT: tuple[type[BaseException], ...] = (
    Unavailable,
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


async def copy_rows(tx: Transaction, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Adds many rows by COPY, within the transaction."""
    if rows:
        await tx.driver.copy_records_to_table(table, records=rows, columns=columns)


def rows(result: Any) -> Sequence[dict[str, Any]]:
    """A result's rows as plain dictionaries."""
    return [dict(row) for row in result.mappings()]

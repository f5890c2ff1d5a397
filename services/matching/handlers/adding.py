"""Rows added, one or ten thousand: few by a statement, many by COPY, which costs a third of it a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic_core import to_json  # a third of the time that json takes
from sqlalchemy import Table, TextClause, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Transaction

_FEW = 50
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types


async def add_rows(tx: Transaction, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds them all; each has the columns of the first."""
    if len(rows) > _FEW:
        await _copy(tx, table, rows)
    elif rows:
        await tx.connection.execute(_adding(table, tuple(rows[0])), _by_column(table, rows))


async def _copy(tx: Transaction, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    by_column = _by_column(table, rows)
    raw = await tx.connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(
        table.name, records=zip(*by_column.values(), strict=True), columns=list(by_column)
    )


def _by_column(table: Table, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    as_json = {name for name in rows[0] if isinstance(table.c[name].type, JSONB)}
    return {name: [_json(row[name]) if name in as_json else row[name] for row in rows] for name in rows[0]}


@cache
def _adding(table: Table, columns: tuple[str, ...]) -> TextClause:
    types = {name: str(table.c[name].type.compile(dialect=_POSTGRESQL)) for name in columns}
    arrays = (f"CAST(:{name} AS {'text' if kind == 'JSONB' else kind}[])" for name, kind in types.items())
    chosen = (f"CAST({name} AS jsonb)" if kind == "JSONB" else name for name, kind in types.items())
    return text(
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(chosen)}"  # noqa: S608 (our own names)
        f" FROM unnest({', '.join(arrays)}) AS added ({', '.join(columns)})"
    )


def _json(value: Any) -> str | None:
    return None if value is None else to_json(value).decode()

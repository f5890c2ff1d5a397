"""Bulk matching: the SQL files of `sql/`, run by DuckDB over Parquet, off the event loop.

The files hold plain SQL that other engines run too; they read views named after the sources, `roster`, `known`, `feed`,
`excluding` and `run` (one row: the day it is for). Months in them are counted from year 0, as `Period.index` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

MEMORY_LIMIT = "2GB"
"""DuckDB spills to disk beyond it."""

ROSTER_SCHEMA = pa.schema(
    [
        ("person_id", pa.string()),
        ("subsidy", pa.string()),
        ("area", pa.string()),
        ("from_month", pa.int32()),
        ("to_month", pa.int32()),
    ]
)

KNOWN_SCHEMA = pa.schema(
    [
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("occurred_on", pa.date32()),
        ("known_at", pa.timestamp("us", tz="UTC")),
        ("category", pa.string()),
        ("level", pa.int32()),
        ("expires_on", pa.date32()),
        ("in_transit", pa.bool_()),
        ("benefit", pa.string()),
        ("until_on", pa.date32()),
    ]
)


@cache
def sql_text(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return (files("services.matching") / "sql" / f"{name}.sql").read_text("utf-8")


def query(name: str, views: Mapping[str, Sequence[Path] | pa.Table], *, as_of: date) -> list[dict[str, Any]]:
    """The rows of `sql/<name>.sql` over views of Parquet files or of tables in memory. Blocks: run it in a thread."""
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as engine:
        engine.register("run", pa.table({"as_of": [as_of]}))
        engine.sql(sql_text("excluding")).create_view("excluding")
        for view, content in views.items():
            if isinstance(content, pa.Table):
                engine.register(view, content)
            else:
                engine.read_parquet([str(path) for path in content], union_by_name=True).create_view(view)
        found = engine.sql(sql_text(name)).to_arrow_table()
        assert found is not None  # every file is a SELECT
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows


def table_from_csv(path: Path, schema: pa.Schema) -> pa.Table:
    """What PostgreSQL copied out (CSV without a heading, empty for NULL), typed."""
    if path.stat().st_size == 0:
        return schema.empty_table()
    return pa_csv.read_csv(
        path,
        read_options=pa_csv.ReadOptions(column_names=schema.names),
        convert_options=pa_csv.ConvertOptions(
            column_types=schema, strings_can_be_null=True, null_values=[""], true_values=["t"], false_values=["f"]
        ),
    )


def write_parquet(table: pa.Table, path: Path) -> None:
    """Writes it once and for all."""
    pq.write_table(table, path, compression="zstd")
    path.chmod(0o440)

"""Bulk matching: the SQL files of `sql/`, run over Parquet by DuckDB, or by Spark (`spark.py`) where `LIANGBU_ENGINE`
names one.

The files hold plain SQL that both run, with equal results; they read views named after the sources, `roster`, `known`,
`feed`, `concerned`, `excluding` and `allowing` (`exclusions.py`), and `run` (one row: the day it is for). Months in
them are counted from year 0, as `Period.index` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

Views = Mapping[str, Sequence[Path] | pa.Table]
"""What the SQL reads, by name: Parquet files, or a table in memory."""

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


_GROUP_ROWS = 122_880
"""Of a stored file: engines share out its groups among their cores."""


class Engine(Protocol):
    """What runs the SQL files. Blocks: call it in a thread, or in a process of its own."""

    def tables(self, queries: Mapping[str, str], views: Views, *, as_of: date) -> Iterator[tuple[str, pa.Table]]:
        """The result of each query, by its name, one after another."""
        ...


@dataclass(frozen=True, slots=True)
class DuckDb:
    """In this process, on all its cores, within `memory_limit`; beyond it, it spills into `spill_folder`."""

    memory_limit: str = "2GB"
    spill_folder: Path | None = None

    def tables(self, queries: Mapping[str, str], views: Views, *, as_of: date) -> Iterator[tuple[str, pa.Table]]:
        settings: dict[str, Any] = {"memory_limit": self.memory_limit, "preserve_insertion_order": False}
        if self.spill_folder is not None:
            settings["temp_directory"] = str(self.spill_folder)
        with duckdb.connect(config=settings) as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.register("run", pa.table({"as_of": [as_of]}))
            for view, content in views.items():
                if isinstance(content, pa.Table):
                    connection.register(view, content)
                else:
                    paths = [str(path) for path in content]
                    connection.read_parquet(paths, union_by_name=len(paths) > 1).create_view(view)
            for name, text in queries.items():
                found = connection.sql(text).to_arrow_table()
                assert found is not None  # every file is a SELECT
                yield name, found


@cache
def sql_text(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return (files("services.matching") / "sql" / f"{name}.sql").read_text("utf-8")


def query(name: str, views: Views, *, as_of: date, engine: Engine | None = None) -> pa.Table:
    """What `sql/<name>.sql` finds in the views."""
    ((_, found),) = (engine or DuckDb()).tables({name: sql_text(name)}, views, as_of=as_of)
    return found


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
    """Writes it once and for all; it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    pq.write_table(table, part, compression="zstd", row_group_size=_GROUP_ROWS)
    part.chmod(0o440)
    part.replace(path)

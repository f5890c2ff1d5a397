"""The SQL of comparisons on Spark: equal to what DuckDB finds, rule by rule. Needs the extra `spark` and Java 17."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from libs.common.parameters import Parameters
from services.matching import comparison
from services.matching.comparison import REGISTERS, Feed
from services.matching.engine import KNOWN_SCHEMA, ROSTER_SCHEMA, DuckDb, Engine, query, write_parquet
from services.matching.exclusions import exclusion_views
from services.matching.parameters import BROUGHT
from services.matching.sources import COMPARED, SOURCES
from services.matching.stored import schema_of

pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",  # Spark leaves its sockets to the garbage collector
    "ignore::ResourceWarning",
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
)

AS_OF = date(2026, 6, 30)
PERSONS = 400
AREAS = ("530102001", "530102002", "530302001")
DROPPED = {"5303": {"care.same_class_benefits": [(date(2025, 6, 1), ["retired_cadre_care"])]}}
RULES = comparison.rules(Parameters(BROUGHT, DROPPED), [area[:6] for area in AREAS])
KINDS = ("certificate.issued", "certificate.frozen", "low_income.entered", "low_income.exited", "benefit.started")


@pytest.fixture(scope="module")
def spark() -> Iterator[Engine]:
    from services.matching.spark import Spark

    engine = Spark("local[2]")
    yield engine
    engine.session().stop()


def cell(chance: random.Random, name: str, kind: pa.DataType, source: str) -> Any:
    """A value of the column; now and then none, where there may be none."""
    column = next((column for column in SOURCES[source].columns if column.stored == name), None)
    if column is None or (not column.required and chance.random() < 0.2):
        return f"t{chance.randrange(12)}" if name == "name_token" else None
    if column.words:
        return chance.choice(column.words)
    if pa.types.is_date(kind):
        return date(2025, 1, 1) + timedelta(days=chance.randrange(600))
    if pa.types.is_integer(kind):
        return chance.randint(1, 4)
    if pa.types.is_boolean(kind):
        return chance.random() < 0.5
    return chance.choice(AREAS)


def feed_of(chance: random.Random, source: str, folder: Path, *, before: bool = False, whole: bool = False) -> Feed:
    schema = schema_of(SOURCES[source])
    feed_id = uuid4()
    rows = []
    for number in range(PERSONS):
        row = {field.name: cell(chance, field.name, field.type, source) for field in schema}
        own = {"person_id": f"p1-{chance.randrange(PERSONS + 100)}", "feed_id": str(feed_id), "as_of": AS_OF}
        rows.append({**row, **own, "feed_row": number, "file_row": number + 2})
    write_parquet(pa.Table.from_pylist(rows, schema), folder / f"{feed_id}.parquet")
    return Feed(source, feed_id, folder / f"{feed_id}.parquet", before, whole)


def roster_of(chance: random.Random, folder: Path) -> Path:
    rows = []
    for number in range(PERSONS):
        for subsidy in ("living", "care"):
            since = 2025 * 12 + chance.randrange(18)
            until = chance.choice((None, since + chance.randrange(12)))
            area = chance.choice(AREAS)
            rows.append((f"p1-{number}", subsidy, area, since, until))
    table = pa.Table.from_pylist([dict(zip(ROSTER_SCHEMA.names, row, strict=True)) for row in rows], ROSTER_SCHEMA)
    write_parquet(table, folder / "roster.parquet")
    return folder / "roster.parquet"


@pytest.mark.parametrize("seed", [1, 2])
def test_spark_finds_what_duckdb_finds_row_by_row(seed: int, spark: Engine, tmp_path: Path) -> None:
    chance = random.Random(seed)
    feeds = [feed_of(chance, source, tmp_path) for source in COMPARED]
    feeds += [feed_of(chance, source, tmp_path, before=True) for source in REGISTERS]
    feeds += [feed_of(chance, source, tmp_path, whole=True) for source in REGISTERS]
    roster = roster_of(chance, tmp_path)
    by_duckdb = comparison.compare(DuckDb(), RULES, roster, feeds, AS_OF)
    by_spark = comparison.compare(spark, RULES, roster, feeds, AS_OF)
    assert by_spark[0].equals(by_duckdb[0])
    assert by_spark[1].equals(by_duckdb[1])
    assert comparison.digest_of_found(*by_spark) == comparison.digest_of_found(*by_duckdb)
    found = set(by_duckdb[0]["source"].to_pylist()), set(by_duckdb[1]["kind"].to_pylist())
    assert found == (set(COMPARED), set(comparison.DISCREPANCIES)), "every rule found something"


@pytest.mark.parametrize("source", ["certificates", "low_income", "benefits"])
def test_spark_sees_the_same_news_in_a_keeper_s_feed(source: str, spark: Engine, tmp_path: Path) -> None:
    chance = random.Random(3)
    feed = pq.read_table(feed_of(chance, source, tmp_path).path)
    known = [
        {
            "person_id": f"p1-{number}",
            "kind": chance.choice([kind for kind in KINDS if kind.split(".")[0][:7] == source[:7]]),
            "occurred_on": date(2025, 3, 1) + timedelta(days=number),
            "category": "physical" if source == "certificates" else "dibao",
            "level": 2,
            "benefit": "elderly_care" if source == "benefits" else None,
        }
        for number in range(0, PERSONS, 3)
    ]
    views = {
        "known": pa.Table.from_pylist(known, KNOWN_SCHEMA),
        "feed": feed,
        "everybody": pq.read_table(roster_of(chance, tmp_path)),
        **exclusion_views(RULES),
    }
    told = [query(f"{source}_facts", views, as_of=AS_OF, engine=engine).to_pylist() for engine in (DuckDb(), spark)]
    in_order = [sorted(rows, key=lambda row: tuple(map(str, row.values()))) for rows in told]
    assert in_order[0] == in_order[1]
    assert in_order[0]


def test_a_run_on_spark_is_proved_on_duckdb(spark: Engine, tmp_path: Path) -> None:
    """Ledgers outlive engines."""
    chance = random.Random(5)
    feed = feed_of(chance, "deaths", tmp_path)
    assert isinstance(feed.feed_id, UUID)
    roster = roster_of(chance, tmp_path)
    digests = {
        comparison.digest_of_found(*comparison.compare(engine, RULES, roster, [feed], AS_OF))
        for engine in (spark, DuckDb())
    }
    assert len(digests) == 1

"""Comparisons and feeds at scale, beside their limits and peers, each in a process of its own.

    python -m benchmarks.matching [--roster 1000000 5000000] [--large 28000000] [--rounds 3]
        [--peers duckdb,postgresql,pandas,spark,saved] [--memory 3.3GB] [--inputs DIR]

A roster of n persons is set against six feeds of n rows together, by the rules of `sql/`:

* `ours`: everything a run does with the engine, read from Parquet on disk: rules, order, what was found written down.
* `duckdb`: a bare DuckDB on the same Parquet with the same memory, results fetched: asked the same SQL, and asked rule
  by rule, where each reads the roster for itself.
* `postgresql`: the same SQL, with the spelling of three functions changed, on tables that are loaded, indexed, analysed
  and in its memory before the clock runs.
* `pandas`: the same joins by merge, read from the same Parquet; a little less is asked of it.
* `spark`: the same SQL on local[cores], the third run of a warm session.
* `saved`: a run as the service's worker carries it through, from the roster on: it also opens the findings in
  PostgreSQL, with claims, events and ledger.

Starting up is counted for none: Python and its imports, DuckDB's library, PostgreSQL's server, the session of Spark,
and in `saved` the service with the process that stands by for its next large comparison.

Then: a larger roster against the small one; ours under a cap of 1 GB on DuckDB; and feeds taken in beside the bare CSV
reader. Seconds are medians of rounds in turn, memory is the peak of the whole process; `--memory` is what its engine
may use of it (`LIANGBU_ENGINE_MEMORY`). `--inputs` keeps what was made up for the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.departments import AS_OF, KEYS, SHARES, made, make, make_csv
from benchmarks.platform import Comparison, report, stage
from libs.common.auth import Principal
from libs.common.clock import business_today
from libs.common.database import Database
from libs.common.migrations import upgrade
from libs.common.parameters import Parameters
from libs.common.platform_schema import ensure_month_partitions
from services.matching import comparison
from services.matching.comparison import Feed, compare_and_keep, rules, views_of
from services.matching.engine import DuckDb
from services.matching.feeds import FeedFolder, take_in
from services.matching.parameters import BROUGHT
from services.matching.sources import SOURCES
from services.matching.staging import Staging

RULES = rules(Parameters(BROUGHT), ())
_UP_FOR_S = 2
"""So long a service is up before it is measured."""

# --- what is measured, each in a process of its own ----------------------------------------------------------------


def ours(roster: Path, feeds: Sequence[Feed], memory: str, rounds: int) -> list[float]:
    folder = roster.parent
    engine = DuckDb(memory, folder / "spill")
    found = [folder / "leads.parquet", folder / "discrepancies.parquet"]

    def run() -> None:
        for path in found:
            path.unlink(missing_ok=True)
        compare_and_keep(engine, RULES, roster, feeds, AS_OF, *found)

    return [_seconds(run) for _ in range(rounds)]


def bare_duckdb(roster: Path, feeds: Sequence[Feed], memory: str, rounds: int) -> list[float]:
    return _bare_duckdb(roster, feeds, memory, rounds, comparison.queries(RULES, feeds).values())


def rule_by_rule(roster: Path, feeds: Sequence[Feed], memory: str, rounds: int) -> list[float]:
    told = {feed.source for feed in feeds}
    leads = [comparison.leads_query(RULES, [name]) for name in comparison.LEADS if name in told]
    return _bare_duckdb(roster, feeds, memory, rounds, leads + [RULES[name] for name in comparison.DISCREPANCIES])


def _bare_duckdb(
    roster: Path, feeds: Sequence[Feed], memory: str, rounds: int, queries: Collection[str]
) -> list[float]:

    def run() -> None:
        settings = {"memory_limit": memory, "temp_directory": str(roster.parent / "spill")}
        with duckdb.connect(config=settings) as connection:
            connection.execute(f"CREATE VIEW run AS SELECT DATE '{AS_OF}' AS as_of")
            for view, content in views_of(RULES, roster, feeds).items():
                if isinstance(content, pa.Table):
                    connection.register(view, content)
                else:
                    connection.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet('{content[0]}')")
            for text in queries:
                connection.sql(text).to_arrow_table()

    return [_seconds(run) for _ in range(rounds)]


def by_pandas(roster: Path, feeds: Sequence[Feed], memory: str, rounds: int) -> list[float]:
    import pandas as pd

    paths = {feed.source: feed.path for feed in feeds}

    def run() -> None:
        people = pd.read_parquet(roster)
        told = {source: pd.read_parquet(path) for source, path in paths.items()}
        for source in ("deaths", "cremations", "population", "prisons"):
            joined = people.merge(told[source], on="person_id", suffixes=("", "_told"))
            day = pd.to_datetime(joined["from_on" if source == "prisons" else "occurred_on"])
            month = day.dt.year * 12 + day.dt.month - 1
            lasting = joined["to_month"].isna() | (joined["to_month"] > month)
            joined[lasting].drop_duplicates(["person_id", "area", "feed_id", "feed_row"])
        incomes = told["low_income"]
        ended, lasting = incomes[incomes["to_on"].notna()], incomes[incomes["to_on"].isna()]
        living = people[people["subsidy"] == "living"].merge(ended, on="person_id", suffixes=("", "_told"))
        living[~living["person_id"].isin(lasting["person_id"])].drop_duplicates(["person_id", "area"])
        order = ["person_id", "as_of", "changed_on", "feed_id", "feed_row"]
        latest = told["certificates"].sort_values(order).drop_duplicates("person_id", keep="last")
        past = latest[pd.to_datetime(latest["expires_on"]) < pd.Timestamp(AS_OF)]
        people.merge(past, on="person_id", suffixes=("", "_told")).drop_duplicates(["person_id", "area"])
        holders = latest.merge(people[["person_id", "area"]], on="person_id", suffixes=("_told", ""))
        others = [told[source][["person_id", "name_token", "feed_row"]] for source in told if source != "certificates"]
        named = holders.merge(pd.concat(others), on="person_id", suffixes=("", "_other"))
        named[named["name_token"] != named["name_token_other"]].drop_duplicates()
        gone = pd.concat([told["deaths"], told["cremations"]])
        same = gone.merge(holders, on=["name_token", "area"], suffixes=("", "_holder"))
        same[same["person_id"] != same["person_id_holder"]].drop_duplicates(["person_id", "person_id_holder"])
        told["deaths"].merge(told["cremations"], on="person_id", suffixes=("", "_other")).drop_duplicates()

    return [_seconds(run) for _ in range(rounds)]


def by_spark(roster: Path, feeds: Sequence[Feed], memory: str, rounds: int) -> list[float]:
    from services.matching.spark import Spark

    engine = Spark(f"local[{os.cpu_count()}]")

    def run() -> None:
        for _ in engine.tables(comparison.queries(RULES, feeds), views_of(RULES, roster, feeds), as_of=AS_OF):
            pass

    taken = [_seconds(run) for _ in range(rounds + 2)]
    engine.session().stop()
    return taken[2:]


def intake(path: Path, rounds: int) -> list[tuple[float, float]]:
    """Pairs: seconds of ours, seconds of the bare CSV reader; of one core's time."""
    folder = path.parent

    def take() -> None:
        staging = Staging(folder / "staging")
        take_in(path, SOURCES["deaths"], UUID(int=9), AS_OF, KEYS, folder / "taken", folder / "rejects", staging)

    def read() -> None:
        with path.open(encoding="utf-8", newline="") as file:
            for _ in csv.reader(file):
                pass

    return [(_core_seconds(take), _core_seconds(read)) for _ in range(rounds)]


async def by_postgresql(roster: Path, feeds: Sequence[Feed], rounds: int) -> list[float]:
    """Loaded, indexed and analysed before the clock runs; the same SQL, spelt as PostgreSQL spells it."""
    import asyncpg

    async with stage() as on:
        on.postgres.create_databases("bench")
        connection = await asyncpg.connect(on.postgres.url("bench").replace("+asyncpg", ""))
        await connection.execute("SET work_mem = '512MB'; SET max_parallel_workers_per_gather = 4")
        await connection.execute(f"CREATE VIEW run AS SELECT DATE '{AS_OF}' AS as_of")
        for view, content in views_of(RULES, roster, feeds).items():
            table = pq.read_table(content[0]) if not isinstance(content, pa.Table) else content
            await _load(connection, view, table, roster.parent)
        await connection.execute("VACUUM ANALYZE")
        taken = []
        for _ in range(rounds):
            started = time.perf_counter()
            for text in comparison.queries(RULES, feeds).values():
                await connection.fetch(_as_postgresql(text))
            taken.append(time.perf_counter() - started)
        await connection.close()
        return taken


async def _load(connection: object, view: str, table: pa.Table, folder: Path) -> None:
    import pyarrow.csv as pa_csv

    types = {"string": "text", "date32[day]": "date", "int32": "integer", "int64": "bigint", "bool": "boolean"}
    columns = ", ".join(f"{field.name} {types[str(field.type)]}" for field in table.schema)
    await connection.execute(f"CREATE UNLOGGED TABLE {view} ({columns})")  # type: ignore[attr-defined]
    path = folder / "load.csv"
    pa_csv.write_csv(table, path, pa_csv.WriteOptions(include_header=False))
    await connection.copy_to_table(view, source=path, format="csv")  # type: ignore[attr-defined]
    path.unlink()
    if "person_id" in table.schema.names:
        await connection.execute(f"CREATE INDEX ON {view} (person_id)")  # type: ignore[attr-defined]  # asyncpg says no types


def _as_postgresql(text: str) -> str:
    text = re.sub(r"\b(year|month|day)\(((?:[^()]|\([^()]*\))*)\)", r"extract(\1 FROM \2)::int", text)
    return text.replace("AS STRING", "AS text")


async def saved(roster: Path, feeds: Sequence[Feed], memory: str, rounds: int) -> tuple[list[float], int]:
    """A whole run from the roster on: found, and opened in PostgreSQL by portions, each with its own commit."""
    from services.matching.handlers import comparisons as steps
    from services.matching.runs import ComparisonRuns
    from services.matching.tables import feeds as feeds_table

    taken, count = [], 0
    async with stage() as on:
        for number in range(rounds):
            on.postgres.create_databases(f"saved{number}")
            url = on.postgres.url(f"saved{number}")
            await asyncio.to_thread(upgrade, "matching", url)
            database = Database(url, service="matching")
            folder = FeedFolder(Path(tempfile.mkdtemp(prefix="run", dir=roster.parent)))
            workshop = steps.Workshop(folder, DuckDb(memory, roster.parent / "spill"))
            runs = ComparisonRuns(database, workshop)
            working = asyncio.create_task(runs.run())
            await asyncio.sleep(_UP_FOR_S)
            async with database.transaction() as tx:
                await ensure_month_partitions(tx, business_today())
                await _list_feeds(tx, feeds_table, feeds, folder)
                order = steps.Order("province", "53", AS_OF)
                row = await steps.order_comparison(tx, order, Principal("bench", "civil_affairs", "53"))
                await steps.prepare(tx, row["comparison_id"], workshop)
                stored = folder.comparison(row["comparison_id"], "roster")
                stored.unlink()
                os.link(roster, stored)
            started = time.perf_counter()
            await runs.carry_through(row["comparison_id"])
            taken.append(time.perf_counter() - started)
            async with database.transaction() as tx:
                row = await steps.load(tx, row["comparison_id"])
            assert row["status"] == "completed"
            count = row["findings"]
            runs.stop()
            await working
            await database.close()
    return taken, count


async def _list_feeds(tx: object, table: object, feeds: Sequence[Feed], folder: FeedFolder) -> None:
    for feed in feeds:
        path = folder.rows(feed.source, AS_OF, feed.feed_id)
        os.link(feed.path, path)
        folder.rejects(feed.source, AS_OF, feed.feed_id).touch()
        values = {
            "feed_id": feed.feed_id, "source": feed.source, "area": "53", "as_of": AS_OF, "mode": "snapshot",
            "digest": "0" * 64, "status": "ready", "authoritative": False, "sent_by": "bench",
            "accepted": pq.read_metadata(path).num_rows, "rejected": 0, "stored_digest": "0" * 64,
        }  # fmt: skip
        await tx.connection.execute(table.insert().values(**values))  # type: ignore[attr-defined]


# --- the run -------------------------------------------------------------------------------------------------------


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _core_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _apart(work: Callable[..., list[float]], *args: object) -> tuple[list[float], float]:
    """What it took, and its process's peak memory in GiB."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *args).result(), process.submit(_peak_gib).result()


def _peak_gib() -> float:
    """Of this process since it was started; `getrusage` would count what its parent held before."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / (1 << 20)


def measure(
    folder: Path, persons: int, peers: Sequence[str], memory: str, rounds: int
) -> tuple[list[Comparison], float]:
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    roster, feeds = made(folder) or make(folder, persons)
    print(f"\n{persons:,} persons against {sum(SHARES.values()) * persons:,.0f} rows "
          f"(made in {time.perf_counter() - started:.0f} s)")  # fmt: skip
    taken: list[float] = []
    bare = {"bare DuckDB": bare_duckdb, "bare DuckDB rule by rule": rule_by_rule} if "duckdb" in peers else {}
    limits: dict[str, list[float]] = {name: [] for name in bare}
    for _ in range(rounds):  # in turn
        seconds, peak = _apart(ours, roster, feeds, memory, 1)
        taken += seconds
        for name, work in bare.items():
            limits[name] += _apart(work, roster, feeds, memory, 1)[0]
    leads = pq.read_metadata(folder / "leads.parquet").num_rows
    print(f"ours: {statistics.median(taken):.2f} s, peak {peak:.2f} GiB, {leads:,} leads")
    compared = [_compared(f"{name}, {persons:,}", taken, limit, 1 / 1.3) for name, limit in limits.items()]
    for name, goal, work in (("pandas", 5.0, by_pandas), ("spark", 5.0, by_spark)):
        if name in peers:
            seconds, peer_peak = _apart(work, roster, feeds, memory, rounds)
            print(f"{name}: {statistics.median(seconds):.2f} s, peak {peer_peak:.2f} GiB")
            compared.append(_compared(f"{name}, {persons:,}", taken, seconds, goal))
    if "postgresql" in peers:
        seconds = asyncio.run(by_postgresql(roster, feeds, 1))
        compared.append(_compared(f"PostgreSQL, {persons:,}", taken, seconds * len(taken), 3.5))
    if "saved" in peers:
        seconds, count = asyncio.run(saved(roster, feeds, memory, rounds))
        print(f"with {count:,} findings saved: {statistics.median(seconds):.2f} s")
        for name, limit in limits.items():
            compared.append(_compared(f"saved, against {name}, {persons:,}", seconds, limit, 0.4))
    capped, capped_peak = _apart(ours, roster, feeds, "1GB", 1)
    times = capped[0] / statistics.median(taken)
    print(f"under a cap of 1 GB: {capped[0]:.2f} s, {times:.2f}× (goal 6), peak {capped_peak:.2f} GiB")
    return compared, statistics.median(taken)


def _compared(name: str, subject: Sequence[float], limit: Sequence[float], goal: float) -> Comparison:
    """Seconds as rates: above 1 ours is faster."""
    pairs = list(zip(subject, limit, strict=False))
    return Comparison(
        name, "runs an hour", goal, [3600 / ours for ours, _ in pairs], [3600 / peer for _, peer in pairs]
    )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--roster", type=int, nargs="*", default=[1_000_000, 5_000_000])
    arguments.add_argument("--large", type=int, default=0, help="e.g. 28000000: needs disk and minutes")
    arguments.add_argument("--rows", type=int, default=500_000, help="of the CSV that is taken in")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--peers", default="duckdb,postgresql,pandas,spark,saved")
    arguments.add_argument("--memory", default="3.3GB", help="of the engine; the whole process takes a little more")
    arguments.add_argument("--inputs", type=Path, help="a folder that keeps the inputs for the next time")
    given = arguments.parse_args()
    peers = given.peers.split(",")
    for name, module in (("pandas", "pandas"), ("spark", "pyspark")):
        if name in peers and find_spec(module) is None:
            print(f"{name} is not installed: left out")
            peers.remove(name)
    compared: list[Comparison] = []
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="liangbu-bench-") as home:
        inputs = given.inputs or Path(home)
        seconds: dict[int, float] = {}
        for persons in given.roster:
            found, seconds[persons] = measure(inputs / str(persons), persons, peers, given.memory, given.rounds)
            compared += found
        if given.large and seconds:
            found, large_s = measure(inputs / str(given.large), given.large, [], given.memory, 1)
            figures["large_against_small"] = f"{large_s / seconds[max(seconds)]:.2f}× the time (goal 6.5)"
        if given.rows:
            path = Path(home) / "deaths.csv"
            make_csv(path, given.rows)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                pairs = process.submit(intake, path, given.rounds).result()
            rates = [[given.rows / pair[at] for pair in pairs] for at in (0, 1)]
            compared.append(Comparison("feed intake against the bare CSV reader", "rows/s of a core", 0.05, *rates))
            figures["feed_rows_a_second_of_a_core"] = f"{statistics.median(rates[0]):,.0f} (goal 100,000)"
            with suppress(FileNotFoundError):
                figures["rejected"] = sum(1 for _ in (Path(home) / "rejects").open())
    report("matching", compared, **figures)


if __name__ == "__main__":
    main()

"""Monthly payments: drawn up beside bare load-then-index of the same rows, and dispatched to a stub bank over HTTP.

    python -m benchmarks.disbursement [--persons 100000] [--before 0 6] [--rounds 3] [--dispatched 20000]

`drawn up` writes one payment per entitled person into the month's partition, with all that it checks (what was paid,
is held, is unpayable, is set off). Its limit loads the very same rows into a table and builds the same indexes.
`nothing to do` draws the month up again when all of it is on its way, beside an INSERT … ON CONFLICT DO NOTHING of
those rows. The most memory that the database used while drawing up is sampled; of several sizes it is told how much
longer each took than the first.

For comparison, by the record of an earlier run on such a machine (PostgreSQL 15, 2 workers, counts lost under
concurrency): openg2p-g2p-bridge 1.0.2 took in 5,900 to 7,000 disbursements a second and dispatched 2,000. The goal is
three times both: 21,000 drawn up and 6,000 dispatched a second, with nothing lost.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import text

from benchmarks.platform import Comparison, Stage, report, stage
from benchmarks.stub_bank import stub_bank
from libs.common.auth import Principal
from libs.common.database import Database
from libs.common.period import Period
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from services.disbursement.bank import OneCardPlatform
from services.disbursement.handlers import cycles
from services.disbursement.handlers.reconciliation import note_settled_cycles
from services.disbursement.workers import Sending

_SCHEMA = Path(__file__).parents[1] / "services/disbursement/migrations/schema_v1.sql"
_CLERK = Principal("bench", "civil_affairs", "53")

_LOAD = """CREATE UNLOGGED TABLE rows_to_load AS SELECT * FROM payments WHERE cycle_id = '{cycle_id}'"""
_LIMIT = (
    "CREATE TABLE bare (LIKE payments)",
    "INSERT INTO bare SELECT * FROM rows_to_load",
    "ALTER TABLE bare ADD PRIMARY KEY (payment_id, period)",
    "ALTER TABLE bare ADD UNIQUE (person_id, subsidy, period, attempt)",
    "CREATE UNIQUE INDEX ON bare (person_id, subsidy, period) WHERE status IN ('pending', 'sent')",
    "CREATE INDEX ON bare (cycle_id, status)",
    "CREATE INDEX ON bare (batch_id) WHERE batch_id IS NOT NULL",
    "CREATE INDEX ON bare (area text_pattern_ops, status)",
)
_HISTORY = (
    "UPDATE entitled_spans SET months = daterange((DATE '2026-03-01' - interval '{months} months')::date, NULL)",
    "SELECT ensure_payment_partitions((DATE '2026-03-01' - interval '{months} months')::date, DATE '2026-02-01')",
    "INSERT INTO cycles (area, period, subsidy, status, created_by, concurred_by, approved_by, submitted_at)"
    " VALUES ('530102', '2026-02-01', 'living', 'submitted', 'a', 'b', 'c', now())",
    "INSERT INTO payments (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level, amount_fen,"
    " entitled_fen, paid_before_fen, status, settled_on, batch_id, book_area, book_year)"
    " SELECT payment_id(person_id, s.subsidy, month::date, 1), month::date, person_id, s.subsidy, 1, cycle_id, s.area,"
    " level, amount_fen, amount_fen, 0, 'settled', month::date, cycle_id, '530102', 2026"
    " FROM cycles, entitled_spans s CROSS JOIN generate_series(lower(months), DATE '2026-02-01', interval '1 month')"
    " AS month",
)
_AGAIN = "INSERT INTO bare SELECT * FROM rows_to_load ON CONFLICT DO NOTHING"


async def peopled(there: Stage, persons: int, sealer: Sealer) -> Database:
    """A county of entitled persons with accounts, none paid yet."""
    database = await there.database("disbursement", _SCHEMA.read_text("utf-8"))
    sealed = sealer.seal("甲", "payees", "p", "holder_name")
    async with database.transaction() as tx:
        for statement in (
            "INSERT INTO payees (person_id, version, area, person_name, holder, holder_name, bank, number,"
            " number_last4) SELECT 'p1-' || n, 1, '530102', :sealed, 'own', :sealed, 'b', :sealed, '0000'"
            " FROM generate_series(1, :n) AS n",
            "INSERT INTO entitlements SELECT 'p1-' || n, 'living', 1, 'bench', NULL, '530102', now()"
            " FROM generate_series(1, :n) AS n",
            "INSERT INTO entitled_spans SELECT 'p1-' || n, 'living', daterange('2026-03-01', NULL), 10000, '530102',"
            " 1, 'physical', 'bench', 'bench', 1 FROM generate_series(1, :n) AS n",
        ):
            await tx.connection.execute(text(statement), {"n": persons, "sealed": sealed})
    await _run(database, "ANALYZE")
    return database


async def _run(database: Database, *statements: str) -> float:
    """How long they take together, each committed, in seconds."""
    started = time.perf_counter()
    for statement in statements:
        async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text(statement))
    return time.perf_counter() - started


async def _load_bare(database: Database) -> float:
    """As a loader does it: in one transaction, so that a table made in it need not be logged, as ours is not."""
    started = time.perf_counter()
    async with database.transaction() as tx:
        for statement in _LIMIT:
            await tx.connection.execute(text(statement))
    return time.perf_counter() - started


async def _draw_up(database: Database, settings: Settings) -> tuple[UUID, float]:
    started = time.perf_counter()
    async with database.transaction() as tx:
        cycle_id = await cycles.draw_up_cycle(tx, _CLERK, settings, cycles.Order("530102", Period(2026, 3), "living"))
    return cycle_id, time.perf_counter() - started


async def _paid_before(database: Database, months: int) -> None:
    """So many months were paid to everybody, and their cycle settled."""
    await _run(database, *(statement.format(months=months) for statement in _HISTORY))
    await _run(database, "ANALYZE")
    async with database.transaction() as tx:
        await note_settled_cycles(tx)
    await _run(database, "VACUUM ANALYZE")  # a month passes until the next one is drawn up


@asynccontextmanager
async def _noting_peak(there: Stage, peaks_gib: list[float]) -> AsyncIterator[None]:
    """Adds the most memory that the database's processes used meanwhile, what they share counted once."""
    server, ends = there.postgres.process, asyncio.Event()
    assert server is not None

    async def sample() -> float:
        peak = 0.0
        while not ends.is_set():
            peak = max(peak, _used_gib(server.pid))
            with suppress(TimeoutError):
                await asyncio.wait_for(ends.wait(), 0.5)
        return peak

    sampling = asyncio.create_task(sample())
    yield
    ends.set()
    peaks_gib.append(await sampling)


def _used_gib(server: int) -> float:
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    used_kib = 0
    for pid in children:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            used_kib += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return used_kib / 2**20


@dataclass
class DrawnUp:
    """What drawing up came to: each rate beside its limit, how long it took (median), how much memory."""

    persons: int
    months: int
    new: Comparison
    nothing_to_do: Comparison
    peak_gib: float

    @property
    def took_s(self) -> float:
        return self.persons / statistics.median(self.new.subject)


async def drawing_up(there: Stage, persons: int, rounds: int, sealer: Sealer, *, months: int = 0) -> DrawnUp:
    """New payments a second, after `months` that are paid, and months looked at a second when there is nothing to do,
    each beside its limit."""
    drawn: list[float] = []
    bare: list[float] = []
    again: list[float] = []
    conflict: list[float] = []
    peaks_gib: list[float] = []
    for _ in range(rounds):
        database = await peopled(there, persons, sealer)
        try:
            if months:
                await _paid_before(database, months)
            async with _noting_peak(there, peaks_gib):
                cycle_id, took_s = await _draw_up(database, there.settings)
            drawn.append(persons / took_s)
            await _run(database, _LOAD.format(cycle_id=cycle_id))
            bare.append(persons / await _load_bare(database))
            await _run(
                database,
                f"UPDATE cycles SET status = 'concurred', concurred_by = 'b' WHERE cycle_id = '{cycle_id}'",
                "VACUUM ANALYZE payments",
                "VACUUM ANALYZE bare",
            )
            again.append(persons / (await _draw_up(database, there.settings))[1])
            conflict.append(persons / await _run(database, _AGAIN))
        finally:
            await database.close()
    of = f"{persons:,} persons, {months} months before"
    return DrawnUp(
        persons,
        months,
        Comparison(f"payments drawn up, {of}", "a second", 0.7, drawn, bare),
        Comparison(f"nothing to do, {of}", "a second", 0.7, again, conflict),
        max(peaks_gib),
    )


async def dispatching(there: Stage, payments: int, latency_ms: int, workers: int) -> float:
    """Payments a second from submitted to acknowledged by the bank, as the books have it; none lost."""
    key = "k1:" + secrets.token_hex(16)
    sealer = Sealer.parse(key)
    database = await peopled(there, payments, sealer)
    settings = there.settings
    try:
        await _seal_each(database, sealer, payments)
        await _draw_up(database, settings)
        await _run(
            database,
            "UPDATE payments SET book_area = '530102', book_year = 2026",
            "UPDATE cycles SET status = 'submitted', concurred_by = 'b', approved_by = 'f', submitted_at = now()",
        )

        async with stub_bank(latency_ms) as url:
            took_s = await asyncio.to_thread(_work, workers, (database.url, url, key, settings, payments))
            async with httpx.AsyncClient(base_url=url) as http:
                accepted = int((await http.get("/accepted")).text)
        assert accepted == payments, f"{payments - accepted} payments lost"
        return payments / took_s
    finally:
        await database.close()


def _work(workers: int, given: tuple[str, str, str, Settings, int]) -> float:
    """How long so many worker processes, each connected to the database, take until all is acknowledged, in seconds."""
    spawning = get_context("spawn")
    together = spawning.Barrier(workers + 1, timeout=60)
    processes = [spawning.Process(target=_worker, args=(together, *given)) for _ in range(workers)]
    for process in processes:
        process.start()
    together.wait()
    started = time.perf_counter()
    together.wait()
    took_s = time.perf_counter() - started
    for process in processes:
        process.join()
    return took_s


def _worker(together: Barrier, database_url: str, bank_url: str, key: str, settings: Settings, payments: int) -> None:
    async def work() -> None:
        database = Database(database_url, service="disbursement")
        assert await _acknowledged(database) == 0
        bank = OneCardPlatform(bank_url, client_id="bench", client_secret="none", timeout_s=10)
        sending = Sending(database, settings, Sealer.parse(key), bank)

        async def watch() -> None:
            while await _acknowledged(database) < payments:
                await asyncio.sleep(0.02)
            sending.preparing.stop()
            sending.handing_over.stop()

        together.wait()
        await asyncio.gather(sending.preparing.run(), sending.handing_over.run(), watch())
        together.wait()
        await database.close()

    asyncio.run(work())


async def _acknowledged(database: Database) -> int:
    async with database.transaction() as tx:
        found = await tx.connection.execute(
            text("SELECT coalesce(sum(payments), 0) FROM batches WHERE state = 'accepted'")
        )
        count: int = found.scalar_one()
    return count


async def _seal_each(database: Database, sealer: Sealer, persons: int) -> None:
    """Names and numbers are sealed to their place: each person has their own."""
    rows = [
        {
            "id": f"p1-{number}",
            "holder_name": sealer.seal("甲", "payees", f"p1-{number}", "holder_name"),
            "number": sealer.seal("6222000000000000", "payees", f"p1-{number}", "number"),
        }
        for number in range(1, persons + 1)
    ]
    async with database.transaction() as tx:
        await tx.connection.execute(
            text("UPDATE payees SET holder_name = :holder_name, number = :number WHERE person_id = :id"), rows
        )


async def main(persons: list[int], before: list[int], rounds: int, dispatched: int) -> None:
    sealer = Sealer.parse("k1:" + secrets.token_hex(16))
    async with stage() as there:
        all_drawn = [
            await drawing_up(there, size, rounds, sealer, months=months) for months in before for size in persons
        ]
        comparisons = [each for drawn in all_drawn for each in (drawn.new, drawn.nothing_to_do)]
        figures = {}
        for drawn in all_drawn:
            first = next(other for other in all_drawn if other.months == drawn.months)
            figures[f"drawing_up_{drawn.persons:,}_after_{drawn.months}_months"] = (
                f"{drawn.took_s:.2f} s, {drawn.took_s / first.took_s:.2f} times as long as {first.persons:,}; "
                f"peak {drawn.peak_gib:.2f} GiB"
            )
        for latency_ms in (0, 50):
            for workers in (1, 2):
                rate = await dispatching(there, dispatched, latency_ms, workers)
                figures[f"dispatched_a_second_at_{latency_ms}_ms_by_{workers}"] = f"{rate:,.0f}"
    report("disbursement", comparisons, **figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, nargs="+", default=[100_000], help="1000000 5000000 for the record")
    parser.add_argument("--before", type=int, nargs="+", default=[0, 6], help="months that are paid already")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dispatched", type=int, default=20_000)
    given = parser.parse_args()
    asyncio.run(main(given.persons, given.before, given.rounds, given.dispatched))

"""The event path: `python -m benchmarks.eligibility_events [--persons N] [--rounds N] [--profile]`.

Facts a second that one process takes from the records of the bus to stored decisions: parsed, marked in the inbox,
asserted, folded, judged, and told in the outbox, 500 a transaction on a durable PostgreSQL; beside the limit of copying
the very rows that this left behind, 500 facts a transaction, into the same tables.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import uvloop

from benchmarks.platform import Comparison, Stage, report, stage
from libs.common.database import Database, asyncpg_dsn, new_id
from libs.common.events.envelope import EventData, read_event, write_envelope
from libs.common.events.intake import ApplicationApproved, ApplicationFacts, CertificateClaim, LowIncomeClaim
from libs.common.events.matching import CertificateExpired, CertificateRenewed, LowIncomeExited, PersonDied
from libs.common.migrations import upgrade
from libs.common.projection import Projection, Received
from libs.common.service import settle_memory
from services.eligibility.subscriptions import SUBSCRIPTIONS

BATCH = 500
COPIED = ("inbox", "assertions", "entitlements", "outbox")
AT = datetime(2026, 6, 1, tzinfo=UTC)


def approvals(persons: int) -> list[bytes]:
    """Everybody has applied for both, level 1 or 2, in dibao."""
    return [
        _record(
            "intake",
            ApplicationApproved(
                person_id=person_id(number),
                version=5,
                application_id=UUID(int=number + 1),
                area="530102",
                status="approved",
                channel="counter",
                subsidies=("living", "care"),
                applied_on=date(2025, 3, 10),
                stage=None,
                facts=ApplicationFacts(
                    residence_area="530102001",
                    certificate=CertificateClaim(
                        category="physical",
                        level=1 + number % 2,
                        issued_on=date(2018, 5, 1),
                        expires_on=date(2028, 4, 30),
                    ),
                    low_income=LowIncomeClaim(category="dibao", from_=date(2022, 1, 1)),
                ),
                decided_on=date(2025, 3, 25),
                granted=("living", "care"),
            ),
        )
        for number in range(persons)
    ]


def facts(persons: int) -> list[bytes]:
    """One fact a person, each changing what the person is entitled to."""

    def fact(number: int) -> EventData:
        known = {
            "person_id": person_id(number),
            "fact_id": uuid4(),
            "occurred_on": date(2026, 3, 1) + timedelta(days=number % 60),
            "known_at": AT,
            "source": "certificates",
            "area": "530102",
        }
        match number % 4:
            case 0:
                return CertificateExpired(**known)
            case 1:
                return CertificateRenewed(
                    **known, category="physical", level=2 - number // 4 % 2, expires_on=date(2036, 4, 30)
                )
            case 2:
                return LowIncomeExited(**known)
            case _:
                return PersonDied(**known)

    return [_record("matching", fact(number)) for number in range(persons)]


def person_id(number: int) -> str:
    return f"p1-{number * 2654435761 % 2**32:032x}"


def _record(source: str, data: EventData) -> bytes:
    return write_envelope(data, event_id=new_id(), source=source, time=AT).encode()


async def take(database: Database, records: Sequence[bytes]) -> float:
    """Records a second, as the consumer takes them."""
    projection = Projection(database, "eligibility", SUBSCRIPTIONS)
    started = time.perf_counter()
    for start in range(0, len(records), BATCH):
        received = [Received(*read_event(record)) for record in records[start : start + BATCH]]
        async with database.transaction() as tx:
            await projection.apply(tx, received)
    return len(records) / (time.perf_counter() - started)


async def copy(on: Stage, source: Database, since: dict[str, int]) -> float:
    """Facts a second, when their rows are only copied."""
    target = await database_of(on)
    reader, writer = await asyncpg.connect(asyncpg_dsn(source.url)), await asyncpg.connect(asyncpg_dsn(target.url))
    tables: dict[str, tuple[list[str], list[tuple[object, ...]]]] = {}
    for table in COPIED:
        rows = await reader.fetch(f"SELECT * FROM {table} OFFSET {since[table]}")
        columns = [column for column in rows[0].keys() if column not in ("seq", "xid")]  # noqa: SIM118 (a record)
        tables[table] = columns, [tuple(row[column] for column in columns) for row in rows]
    events = len(tables["inbox"][1])
    batches = range(0, events, BATCH)
    started = time.perf_counter()
    for position, _ in enumerate(batches):
        async with writer.transaction():
            for table, (columns, rows) in tables.items():
                low, high = (len(rows) * part // len(batches) for part in (position, position + 1))
                await writer.copy_records_to_table(table, records=rows[low:high], columns=columns)
    took_s = time.perf_counter() - started
    await reader.close()
    await writer.close()
    await target.close()
    return events / took_s


async def database_of(on: Stage) -> Database:
    """A new database of the eligibility service."""
    name = f"eligibility_{uuid4().hex[:8]}"
    on.postgres.create_databases(name)
    url = on.postgres.url(name)
    await asyncio.to_thread(upgrade, "eligibility", url)
    return await on.ready(Database(url, service="eligibility"))


async def _counts(database: Database) -> dict[str, int]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url))
    counts = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in COPIED}
    await connection.close()
    return counts


async def main(persons: int, rounds: int, profile: bool) -> None:
    taken, copied, stored = [], [], {}
    async with stage() as on:
        for _ in range(rounds):
            database = await database_of(on)
            await take(database, approvals(persons))
            before = await _counts(database)
            records = facts(persons)
            watch = cProfile.Profile(time.process_time)
            if profile:
                watch.enable()
            taken.append(await take(database, records))
            if profile:
                watch.disable()
                pstats.Stats(watch).sort_stats("tottime").print_stats(30)
            after = await _counts(database)
            stored = {table: after[table] - before[table] for table in COPIED}
            copied.append(await copy(on, database, before))
            await database.close()
    report(
        "eligibility events",
        [Comparison("facts to stored decisions against copying their rows", "facts/s", 0.0, taken, copied)],
        rows_stored=stored,
        goal="3,000 facts/s",
        persons=persons,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="where the processor's time goes, by function")
    arguments = parser.parse_args()
    settle_memory()
    uvloop.run(main(arguments.persons, arguments.rounds, arguments.profile))

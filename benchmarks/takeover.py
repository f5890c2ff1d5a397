"""Taking over a roster: `python -m benchmarks.takeover [--persons N] [--rounds N] [--profile]`.

Rows a second of each step of the way, one process and one step at a time on a durable PostgreSQL: the file read into
intake, judged and put in force by eligibility, decided by intake (which hears the schedules with it), entered by
disbursement. Side by side, as services run, the slowest of them is what bounds a takeover. Events go from outbox to
handlers 500 a transaction, as the consumer takes them, without the broker. Beside it a bare COPY of the
file's rows into a table of texts.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import csv
import io
import pstats
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import uvloop

from benchmarks.platform import Comparison, Stage, report, stage
from deploy.local.sample.county import build_county
from deploy.local.sample.roster import COLUMNS, roster_csv
from libs.common.auth import Principal
from libs.common.clock import business_today
from libs.common.database import Database, asyncpg_dsn
from libs.common.migrations import upgrade
from libs.common.privacy import PersonKeys, Sealer
from libs.common.projection import Projection, Received, Subscription
from libs.common.service import settle_memory
from services.disbursement.subscriptions import subscriptions as disbursement_subscriptions
from services.eligibility.subscriptions import SUBSCRIPTIONS as ELIGIBILITY
from services.intake.handlers.roster_imports import RosterReading, receive_roster
from services.intake.stores import Store, TwoStores
from services.intake.subscriptions import subscriptions as intake_subscriptions
from services.intake.vault import Vault

BATCH = 500
AREA = "530102"


@dataclass
class Way:
    """The databases of the three services, and up to where each has heard the others."""

    intake: Database
    eligibility: Database
    disbursement: Database
    reading: RosterReading
    stores: TwoStores
    vault: Vault
    heard: dict[tuple[str, str], int] = field(default_factory=dict)

    async def hear(self, reader: Database, subscriptions: Sequence[Subscription], writer: Database) -> None:
        """Applies what the writer has published since, as the reader's consumer does."""
        projection = Projection(reader, reader.service, subscriptions)
        connection = await asyncpg.connect(asyncpg_dsn(writer.url))
        place = (reader.service, writer.service)
        while True:
            found = await connection.fetch(
                "SELECT seq, body FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2", self.heard.get(place, 0), BATCH
            )
            if not found:
                break
            self.heard[place] = found[-1]["seq"]
            said = [projection.read(row["body"].encode()) for row in found]
            received = [event for event in said if isinstance(event, Received)]
            if received:
                async with reader.transaction() as tx:
                    await projection.apply(tx, received)
        await connection.close()

    async def close(self) -> None:
        for database in (self.intake, self.eligibility, self.disbursement):
            await database.close()


async def way_of(on: Stage, folder: Path) -> Way:
    async def database(service: str) -> Database:
        name = f"{service}_{uuid4().hex[:8]}"
        on.postgres.create_databases(name)
        url = on.postgres.url(name)
        await asyncio.to_thread(upgrade, service, url)
        return await on.ready(Database(url, service=service))

    vault = Vault(PersonKeys.parse("1:" + secrets.token_hex(32)), Sealer.parse("k1:" + secrets.token_hex(16)))
    stores = TwoStores(Store(str(folder / uuid4().hex)), Store(str(folder / uuid4().hex)))
    intake, eligibility, disbursement = [await database(s) for s in ("intake", "eligibility", "disbursement")]
    return Way(intake, eligibility, disbursement, RosterReading(intake, stores, vault), stores, vault)


async def take_over(way: Way, content: bytes, rows: int) -> dict[str, float]:
    """Rows a second of each step."""
    rates: dict[str, float] = {}

    async def timed(step: str, work: Callable[[], Any]) -> None:
        started = time.perf_counter()
        await work()
        rates[step] = rows / (time.perf_counter() - started)

    official = Principal(sub="civil_affairs-530102", role="civil_affairs", area=AREA)

    async def read() -> None:
        import_id = await receive_roster(
            way.intake, way.stores, way.vault, official, io.BytesIO(content), area=AREA, on=business_today()
        )
        await way.reading.read(import_id)

    await timed("read", read)
    await timed("judge and put in force", lambda: way.hear(way.eligibility, ELIGIBILITY, way.intake))
    await timed("decide", lambda: way.hear(way.intake, intake_subscriptions(way.vault), way.eligibility))
    books = disbursement_subscriptions(way.vault.sealer)
    await timed("enter what was paid, and payees", lambda: way.hear(way.disbursement, books, way.intake))
    await timed("enter schedules", lambda: way.hear(way.disbursement, books, way.eligibility))
    rates["the whole way, one step after another"] = 1 / sum(1 / rate for rate in rates.values())
    return rates


async def copy(on: Stage, content: bytes) -> float:
    """Rows a second of a bare COPY."""
    records = [tuple(row) for row in list(csv.reader(io.StringIO(content.decode())))[1:]]
    database = await on.database(
        "copied", f"CREATE TABLE copied ({', '.join(f'c{i} text' for i in range(len(COLUMNS)))})"
    )
    connection = await asyncpg.connect(asyncpg_dsn(database.url))
    started = time.perf_counter()
    await connection.copy_records_to_table("copied", records=records)
    rate = len(records) / (time.perf_counter() - started)
    await connection.close()
    await database.close()
    return rate


async def main(persons: int, rounds: int, profile: bool) -> None:
    content = roster_csv(build_county(AREA, persons, 1)).encode()
    measured: list[dict[str, float]] = []
    copied: list[float] = []
    watch = cProfile.Profile(time.process_time) if profile else None
    with tempfile.TemporaryDirectory(prefix="liangbu-bench-") as folder:
        async with stage() as on:
            for _ in range(rounds):
                way = await way_of(on, Path(folder))
                with watch or nullcontext():
                    measured.append(await take_over(way, content, persons))
                await way.close()
                copied.append(await copy(on, content))
    if watch is not None:
        pstats.Stats(watch).sort_stats("tottime").print_stats(35)
    report(
        "takeover",
        [Comparison(step, "rows/s", 0.0, [rates[step] for rates in measured], copied) for step in measured[0]],
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

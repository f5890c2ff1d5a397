"""What the benchmarks stand on: an own PostgreSQL and broker, databases with the platform's tables, a report.

Each benchmark measures its subject and its limit or peer in the same run, in turn, several times; what counts is the
median of the ratios pair by pair, since machines drift.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg

from deploy.local.broker import Broker
from deploy.local.postgres import PostgresServer
from libs.common.clock import business_today
from libs.common.database import Database, asyncpg_dsn
from libs.common.platform_schema import PLATFORM_V1, ensure_month_partitions
from libs.common.settings import Settings


@dataclass
class Stage:
    """A started PostgreSQL and broker."""

    postgres: PostgresServer
    broker: Broker

    @property
    def settings(self) -> Settings:
        return Settings(kafka_bootstrap=self.broker.bootstrap, kafka_group_suffix=f".{uuid4().hex[:6]}")

    async def database(self, service: str, ddl: str = "") -> Database:
        """A new database with the platform's tables and `ddl`."""
        name = f"{service}_{uuid4().hex[:8]}"
        self.postgres.create_databases(name)
        raw = await asyncpg.connect(asyncpg_dsn(self.postgres.url(name)))
        await raw.execute(PLATFORM_V1 + ddl)
        await raw.close()
        return await self.ready(Database(self.postgres.url(name), service=service))

    async def ready(self, database: Database) -> Database:
        """The same database with the partitions that today needs."""
        async with database.transaction() as tx:
            await ensure_month_partitions(tx, business_today())
        return database


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """PostgreSQL durable, as in production; the broker in memory."""
    with (
        tempfile.TemporaryDirectory(prefix="liangbu-bench-") as home,
        PostgresServer(Path(home), databases=("spare",)) as postgres,
        Broker() as broker,
    ):
        yield Stage(postgres, broker)


@dataclass(frozen=True)
class Comparison:
    """Pairs of rates (a second) of a subject and its limit, measured in turn."""

    name: str
    unit: str
    goal: float
    subject: Sequence[float]
    limit: Sequence[float]

    @property
    def ratio(self) -> float:
        return statistics.median(s / p for s, p in zip(self.subject, self.limit, strict=True))

    def line(self) -> str:
        ratios = [s / p for s, p in zip(self.subject, self.limit, strict=True)]
        return (
            f"{self.name}: {statistics.median(self.subject):,.0f} {self.unit} against"
            f" {statistics.median(self.limit):,.0f}; ratio {self.ratio:.2f}"
            f" (from {min(ratios):.2f} to {max(ratios):.2f}, goal {self.goal:.2f})"
        )


def report(name: str, comparisons: Sequence[Comparison], **figures: object) -> None:
    """Prints the lines, and one line of JSON for machines."""
    for comparison in comparisons:
        print(comparison.line())
    for label, figure in figures.items():
        print(f"{label.replace('_', ' ')}: {figure}")
    print(json.dumps({"benchmark": name, **{c.name: round(c.ratio, 3) for c in comparisons}}, ensure_ascii=False))

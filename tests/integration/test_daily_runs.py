"""The scheduler of daily tasks: each once a day, whichever replica comes first, and no failure stops another task."""

from __future__ import annotations

import asyncio
from datetime import date

import asyncpg
import pytest
from sqlalchemy import text

from deploy.local.postgres import PostgresServer
from libs.common.daily import DailyTask, Scheduler
from libs.common.database import Database, Transaction, asyncpg_dsn, new_id
from libs.common.platform_schema import PLATFORM_V1

TODAY, TOMORROW = date(2026, 3, 31), date(2026, 4, 1)


class Reminders:
    """A task that counts its runs where a rolled back one leaves no trace."""

    def __init__(self) -> None:
        self.fails = False

    async def send(self, tx: Transaction, as_of: date) -> int:
        await tx.connection.execute(text("INSERT INTO reminded VALUES (:as_of)"), {"as_of": as_of})
        if self.fails:
            raise ZeroDivisionError
        return 3


@pytest.fixture
async def database(postgres: PostgresServer) -> Database:
    name = f"daily_{new_id().hex[-8:]}"
    postgres.create_databases(name)
    raw = await asyncpg.connect(asyncpg_dsn(postgres.url(name)))
    await raw.execute(PLATFORM_V1 + "CREATE TABLE reminded (as_of date);")
    await raw.close()
    return Database(postgres.url(name), service="matching")


async def ran(database: Database, task: str) -> list[tuple[date, int]]:
    async with database.transaction() as tx:
        found = await tx.connection.execute(
            text("SELECT as_of, done FROM daily_runs WHERE task = :task ORDER BY as_of"), {"task": task}
        )
        return [(row.as_of, row.done) for row in found]


async def reminded(database: Database) -> list[date]:
    async with database.transaction() as tx:
        return list((await tx.connection.execute(text("SELECT as_of FROM reminded ORDER BY 1"))).scalars())


async def test_replicas_run_each_task_once_a_day(database: Database) -> None:
    task = DailyTask("reminders", Reminders().send)
    replicas = [Scheduler(database, [task], hour=0) for _ in "123"]
    for day in (TODAY, TODAY, TOMORROW):
        await asyncio.gather(*(replica.run_due(day) for replica in replicas))
    assert await reminded(database) == [TODAY, TOMORROW]
    assert await ran(database, "reminders") == [(TODAY, 3), (TOMORROW, 3)]
    await database.close()


async def test_a_task_that_fails_leaves_nothing_stops_no_other_and_is_tried_again(database: Database) -> None:
    reminders, others = Reminders(), Reminders()
    scheduler = Scheduler(database, [DailyTask("reminders", reminders.send), DailyTask("others", others.send)], hour=0)
    reminders.fails = True
    await scheduler.run_due(TODAY)
    assert (await ran(database, "reminders"), await ran(database, "others")) == ([], [(TODAY, 3)])
    assert await reminded(database) == [TODAY]
    reminders.fails = False
    await scheduler.run_due(TODAY)
    assert await ran(database, "reminders") == [(TODAY, 3)]
    assert await reminded(database) == [TODAY, TODAY]
    await database.close()


async def test_a_scheduler_runs_by_itself_until_it_is_stopped(database: Database) -> None:
    scheduler = Scheduler(database, [DailyTask("reminders", Reminders().send)], hour=0)
    running = asyncio.create_task(scheduler.run())
    async with asyncio.timeout(30):
        while not await ran(database, "reminders"):
            await asyncio.sleep(0.05)
        scheduler.stop()
        await running
    assert len(await ran(database, "reminders")) == 1
    await database.close()

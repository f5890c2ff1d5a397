"""The daily run: what becomes due because time passes, by a date that comes from outside.

The scheduler runs it once a day with today's business date; `POST /v1/daily-runs` runs it for any date. A task does
what is due by its date, and twice is once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import structlog
from sqlalchemy import text

from libs.common.clock import business_today, utc_now
from libs.common.database import Database, Transaction, is_transient
from libs.common.idempotency import forget_old_keys
from libs.common.invariants import Invariant, raise_broken
from libs.common.period import SHANGHAI
from libs.common.platform_schema import drop_old_partitions, ensure_month_partitions
from libs.common.settings import Settings
from libs.common.telemetry import DAILY_TASK_DONE, DAILY_TASK_FAILURES

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 60.0
_LOCK_CLASS = 7004


@dataclass(frozen=True, slots=True)
class DailyTask:
    """What becomes due because time passes. `run` does what is due by a date and says how much; twice is once."""

    name: str
    run: Callable[[Transaction, date], Awaitable[int]]


def with_upkeep(tasks: Sequence[DailyTask], invariants: Sequence[Invariant], settings: Settings) -> list[DailyTask]:
    """A service's tasks between those that every service has: partitions made before; afterwards what was kept long
    enough dropped, and the invariants checked."""

    async def forget_keys(tx: Transaction, as_of: date) -> int:
        return await forget_old_keys(tx, days=settings.idempotency_days)

    async def check_invariants(tx: Transaction, as_of: date) -> int:
        return await raise_broken(tx, invariants)

    return [
        DailyTask("month partitions", ensure_month_partitions),
        *tasks,
        DailyTask("forgotten idempotency keys", forget_keys),
        DailyTask("dropped log partitions", drop_old_partitions),
        DailyTask("broken invariants", check_invariants),
    ]


async def run_task(tx: Transaction, task: DailyTask, as_of: date) -> int:
    """Runs one task and notes that it ran; how much was due."""
    done = await task.run(tx, as_of)
    await tx.connection.execute(
        text(
            "INSERT INTO daily_runs (task, as_of, done) VALUES (:task, :as_of, :done)"
            " ON CONFLICT (task, as_of) DO UPDATE SET done = daily_runs.done + excluded.done, ran_at = now()"
        ),
        {"task": task.name, "as_of": as_of, "done": done},
    )
    return done


class Scheduler:
    """Runs each task once a day from `hour` (Asia/Shanghai) on, in a transaction of its own, on one of the replicas.

    A task that fails keeps no other from running and takes nothing down: it is counted, logged and tried again each
    minute, and `GET /v1/status` shows the day it last ran for.
    """

    def __init__(self, database: Database, tasks: Sequence[DailyTask], *, hour: int) -> None:
        self._database = database
        self._tasks = tasks
        self._hour = hour
        self._done_for: date | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            if utc_now().astimezone(SHANGHAI).hour >= self._hour:
                await self.run_due(business_today())
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._stopping.wait()

    def stop(self) -> None:
        self._stopping.set()

    async def run_due(self, as_of: date) -> None:
        """Runs what has not run for this date yet."""
        if self._done_for == as_of:
            return
        failed = False
        for task in self._tasks:
            try:
                async with self._database.transaction() as tx:
                    if await _is_due(tx, task, as_of):
                        await run_task(tx, task, as_of)
                DAILY_TASK_DONE.labels(self._database.service, task.name).set_to_current_time()
            except Exception as error:
                if is_transient(error):
                    raise  # the worker waits for the database
                failed = True
                DAILY_TASK_FAILURES.labels(self._database.service, task.name).inc()
                log.error("daily_task_failed", task=task.name, as_of=as_of.isoformat(), exc_info=error)
        self._done_for = None if failed else as_of


async def _is_due(tx: Transaction, task: DailyTask, as_of: date) -> bool:
    """False when it ran for this date; waits for a replica that is at it."""
    await tx.connection.execute(
        text("SELECT pg_advisory_xact_lock(:class, hashtext(:task))"), {"class": _LOCK_CLASS, "task": task.name}
    )
    ran = await tx.connection.execute(
        text("SELECT EXISTS (SELECT FROM daily_runs WHERE task = :task AND as_of = :as_of)"),
        {"task": task.name, "as_of": as_of},
    )
    return not ran.scalar_one()

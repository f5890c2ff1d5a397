"""The worker that carries large comparisons through, a step and a transaction at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from uuid import UUID

import structlog
from sqlalchemy import select, text

from libs.common.database import Database, is_transient
from services.matching.apart import DiedApart, Standby
from services.matching.handlers import comparisons as steps
from services.matching.handlers.comparisons import Workshop
from services.matching.tables import comparisons

log = structlog.get_logger(__name__)

_RUN_LOCK = 7011
_LOOKS_EVERY_S = 5


class ComparisonRuns:
    """Safe to run at several places: one works on a comparison at a time."""

    def __init__(self, database: Database, workshop: Workshop) -> None:
        self._database = database
        self._workshop = workshop
        self._standby = Standby("services.matching.comparison")
        self._stopping = asyncio.Event()
        self.ordered = asyncio.Event()
        """Set when a large comparison was ordered here; the worker waits on it."""

    async def run(self) -> None:
        """Carries through what is running, until `stop`."""
        try:
            while not self._stopping.is_set():
                self.ordered.clear()
                await self._standby.start()
                for comparison_id in await self._running():
                    await self.carry_through(comparison_id)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOKS_EVERY_S):
                        await self.ordered.wait()
        finally:
            await self._standby.end()

    def stop(self) -> None:
        self._stopping.set()
        self.ordered.set()

    async def carry_through(self, comparison_id: UUID) -> None:
        """Brings the run to `completed`, or to `failed` if the engine fails or dies. Interrupted, it goes on later."""
        async with self._alone(comparison_id) as free:
            if not free:
                return
            row = await self._row(comparison_id)
            if row["status"] != "running":
                return
            if row["roster_digest"] is None:
                async with self._database.transaction() as tx:
                    await steps.prepare(tx, comparison_id, self._workshop)
                row = await self._row(comparison_id)
            if row["found_digest"] is None:
                async with self._database.transaction() as tx:
                    rules = await steps.rules_of(tx, comparison_id)
                try:
                    found = await steps.find(row, rules, self._workshop, place=self._standby.apart)
                except Exception as error:  # whatever it is, one comparison must not end the service
                    if is_transient(error):
                        raise
                    log.error("comparison_failed", comparison_id=str(comparison_id), exc_info=error)
                    died = f"the engine's process died: {error}" if isinstance(error, DiedApart) else ""
                    async with self._database.transaction() as tx:
                        await steps.fail(tx, comparison_id, died or f"the engine failed by {type(error).__name__}")
                    return
                async with self._database.transaction() as tx:
                    await steps.keep_found(tx, comparison_id, found)
            async with aclosing(steps.leads_left(await self._row(comparison_id), self._workshop)) as portions:
                async for portion in portions:
                    if self._stopping.is_set():
                        return
                    async with self._database.transaction() as tx:
                        await steps.note(tx, comparison_id, portion)
            async with self._database.transaction() as tx:
                await steps.close(tx, comparison_id, self._workshop)

    async def _row(self, comparison_id: UUID) -> dict[str, object]:
        async with self._database.transaction() as tx:
            return await steps.load(tx, comparison_id)

    async def _running(self) -> Sequence[UUID]:
        async with self._database.transaction() as tx:
            found = await tx.connection.execute(
                select(comparisons.c.comparison_id)
                .where(comparisons.c.status == "running")
                .order_by(comparisons.c.comparison_id)
            )
            return found.scalars().all()

    @asynccontextmanager
    async def _alone(self, comparison_id: UUID) -> AsyncIterator[bool]:
        """Whether nobody else works on it. A session's lock: a long transaction would hold back what is published."""
        async with self._database.engine.connect() as connection:
            autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
            names = {"lock": _RUN_LOCK, "run": str(comparison_id)}
            taken = await autocommit.execute(text("SELECT pg_try_advisory_lock(:lock, hashtext(:run))"), names)
            if not taken.scalar_one():
                yield False
                return
            try:
                yield True
            finally:
                await autocommit.execute(text("SELECT pg_advisory_unlock(:lock, hashtext(:run))"), names)

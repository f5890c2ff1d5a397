"""What goes on beside the API: submission, dispatch to the bank, following its statements, closing cycles."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog

from libs.common.clock import business_today
from libs.common.database import Database, is_transient
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from services.disbursement.bank import Bank, OutcomeUnknown
from services.disbursement.handlers import dispatch, lifting, reconciliation, statements, submission
from services.disbursement.handlers.locks import server_without_lock
from services.disbursement.handlers.restoring import write_back

log = structlog.get_logger(__name__)

_IDLE_S = 0.25
_QUIET_S = 1.0
"""How much longer after `_QUIET_AFTER_S` without work or news: a request, a webhook, an event."""
_QUIET_AFTER_S = 5.0
_LONGEST_PAUSE_S = 10.0
_ASK_AGAIN_S = 1.0

Step = Callable[[], Awaitable[bool]]
"""Does some of what there is to do; True if there may be more."""


class Steps:
    """A worker that repeats its steps for as long as there is something to do, and then looks again in a moment."""

    def __init__(self, name: str, database: Database, steps: Sequence[Step]) -> None:
        self.name = name
        self._database = database
        self._steps = steps
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`; a database that is away is waited for."""
        pause_s, stirred_at = _IDLE_S, time.monotonic()
        while not self._stopping.is_set():
            news = self._database.next_news
            try:
                busy = [await step() for step in self._steps]
                pause_s = 0.0 if any(busy) else _IDLE_S
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("worker_waits", worker=self.name, error=type(error).__name__)
                pause_s = min(2 * max(pause_s, _IDLE_S), _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311
            await _wait(self._stopping, pause_s)
            if pause_s and time.monotonic() - stirred_at > _QUIET_AFTER_S:
                await _wait(news, _QUIET_S)
            if not pause_s or news.is_set():
                stirred_at = time.monotonic()

    def stop(self) -> None:
        self._stopping.set()
        self._database.tell_news()


async def _wait(for_it: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await for_it.wait()


class Sending:
    """From a cycle whose submission was asked for to a batch that the bank acknowledged."""

    def __init__(self, database: Database, settings: Settings, sealer: Sealer, bank: Bank) -> None:
        self._database = database
        self._settings = settings
        self._sealer = sealer
        self._bank = bank
        self._agreed_on: datetime | None = None
        self._asked_at = -_ASK_AGAIN_S
        self._asking = asyncio.Lock()

    async def agrees(self) -> bool:
        """Whether our books are known to agree with the bank's: asked at the start, while there is a lock, and whenever
        the database server is not the one that it was: a restart may be a restore."""
        async with self._asking:
            async with self._database.transaction() as tx:
                server = await server_without_lock(tx)
            if server is not None and server == self._agreed_on:
                return True
            now = asyncio.get_running_loop().time()
            if now - self._asked_at < _ASK_AGAIN_S:
                return False
            self._asked_at = now
            try:
                agreed = await write_back(self._database, self._settings, self._bank, on=business_today())
            except OutcomeUnknown as error:
                log.warning("bank_unknown", error=str(error))
                return False
            async with self._database.transaction() as tx:
                self._agreed_on = await server_without_lock(tx) if agreed else None
            return agreed

    async def submit(self) -> bool:
        if not await self.agrees():
            return False
        async with self._database.transaction() as tx:
            waiting = await submission.cycles_waiting(tx)
        for cycle_id in waiting:
            async with self._database.transaction() as tx:
                await submission.submit_if_known(tx, self._settings, cycle_id, on=business_today())
        return False

    async def prepare(self) -> bool:
        if not await self.agrees():
            return False
        async with self._database.transaction() as tx:
            return await dispatch.prepare_batches(tx, self._settings, self._sealer, on=business_today())

    async def hand_over(self) -> bool:
        if not await self.agrees():
            return False
        async with self._database.transaction() as tx:
            claimed = await dispatch.claim_batches(tx, self._settings)
        await dispatch.hand_over(self._database, self._bank, self._sealer, claimed)
        return bool(claimed)

    def preparing(self) -> Steps:
        return Steps("preparing", self._database, [self.submit, self.prepare])

    def handing_over(self) -> Steps:
        """Beside `preparing`: while the bank takes its time, the next batches are prepared."""
        return Steps("handing over", self._database, [self.hand_over])


class Following:
    """From an acknowledged batch to the results of all its payments and a closed cycle, and the holds that may lift."""

    def __init__(self, database: Database, settings: Settings, bank: Bank) -> None:
        self._database = database
        self._settings = settings
        self._bank = bank

    async def lift(self) -> bool:
        async with self._database.transaction() as tx:
            await lifting.lift_answered_holds(tx, self._settings)
            await lifting.absorb_finished(tx, self._settings)
        return False

    async def follow(self) -> bool:
        async with self._database.transaction() as tx:
            due = await statements.batches_to_follow(tx)
        await statements.follow_batches(self._database, self._bank, due, on=business_today())
        return bool(due)

    async def close(self) -> bool:
        async with self._database.transaction() as tx:
            await reconciliation.note_settled_cycles(tx)
            due = await reconciliation.cycles_to_close(tx)
        for cycle_id in due:
            async with self._database.transaction() as tx:
                batch_ids = await reconciliation.batches_of(tx, [cycle_id])
            try:
                await statements.read_statements(self._database, self._bank, batch_ids, on=business_today())
            except OutcomeUnknown:
                return False  # the bank is away: nothing is compared with an old statement
            async with self._database.transaction() as tx:
                await reconciliation.close_if_clean(tx, cycle_id)
        return False

    def following(self) -> Steps:
        return Steps("following", self._database, [self.lift, self.follow])

    def closing(self) -> Steps:
        """Beside `following`: to compare a large cycle takes long, and the next one's results do not wait for it."""
        return Steps("closing", self._database, [self.close])

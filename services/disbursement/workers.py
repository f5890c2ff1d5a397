"""What goes on beside the API: submission, dispatch to the bank, following its statements, closing cycles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from libs.common.clock import business_today
from libs.common.database import Database
from libs.common.privacy import Sealer
from libs.common.repeating import Repeating
from libs.common.settings import Settings
from services.disbursement.bank import Bank, OutcomeUnknown
from services.disbursement.handlers import dispatch, lifting, reconciliation, statements, submission
from services.disbursement.handlers.locks import server_without_lock
from services.disbursement.handlers.restoring import write_back

log = structlog.get_logger(__name__)

_ASK_AGAIN_S = 1.0
_BATCHES_IN_FLIGHT = 8
"""How many one worker hands over at once."""
_LOOK_AGAIN_S = 0.25
"""How long a worker with a free slot waits for the bank before it looks for more to hand over."""


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
        self._slots = 1 if settings.bank_payments_a_second else _BATCHES_IN_FLIGHT
        self._in_flight: set[asyncio.Task[None]] = set()
        self.preparing = Repeating("preparing", database, self.submit, self.prepare)
        self.handing_over = Repeating("handing over", database, self.hand_over, client=self._finishing())
        """Beside `preparing`: while the bank takes its time, the next batches are prepared."""

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
            prepared = await dispatch.prepare_batches(tx, self._settings, self._sealer, on=business_today())
        if prepared:
            self.handing_over.wake()
        return prepared

    async def hand_over(self) -> bool:
        """Fills the slots that are free, and waits until the bank has answered one of all: a batch that it does not
        answer for holds no other."""
        if not await self.agrees():
            return False
        async with self._database.transaction() as tx:
            claimed = await dispatch.claim_batches(tx, self._settings, at_most=self._slots - len(self._in_flight))
        self._in_flight |= {
            asyncio.create_task(dispatch.hand_over(self._database, self._bank, self._sealer, batch))
            for batch in claimed
        }
        if not self._in_flight:
            return False
        answered, self._in_flight = await asyncio.wait(
            self._in_flight, timeout=_LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        for each in answered:
            each.result()
        if answered:
            self.preparing.wake()
        return True

    @asynccontextmanager
    async def _finishing(self) -> AsyncIterator[None]:
        """What is with the bank in the end is waited for. What fails then is handed over again once its claim ends."""
        yield
        if self._in_flight:
            await asyncio.wait(self._in_flight)


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

    def following(self) -> Repeating:
        return Repeating("following", self._database, self.lift, self.follow)

    def closing(self) -> Repeating:
        """Beside `following`: to compare a large cycle takes long, and the next one's results do not wait for it."""
        return Repeating("closing", self._database, self.close)

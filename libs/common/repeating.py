"""The worker for what a service does beside its API and its readers.

It repeats its steps while there is something to do, and then looks again in a moment.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress

import structlog

from libs.common.database import Database, Transaction, is_transient

log = structlog.get_logger(__name__)

_IDLE_S = 0.25
_QUIET_S = 1.0
"""How much longer after `_QUIET_AFTER_S` without work or news: a request, a webhook, an event."""
_QUIET_AFTER_S = 5.0
_LONGEST_PAUSE_S = 10.0

Step = Callable[[], Awaitable[bool]]
"""Does some of what there is to do; True if there may be more."""

Chunk = Callable[[Transaction], Awaitable[bool]]
"""Does the next part of a long job, and notes in the same transaction how far it is; False: nothing to do."""


class Repeating:
    """Repeats `steps`, one after another. `client`, which they use, is opened before them and closed after them."""

    def __init__(
        self, name: str, database: Database, *steps: Step, client: AbstractAsyncContextManager[object] | None = None
    ) -> None:
        self.name = name
        self._database = database
        self._steps = steps
        self._client = client or nullcontext()
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`; a database that is away is waited for."""
        async with self._client:
            await self._repeat()

    def stop(self) -> None:
        self._stopping.set()
        self.wake()

    def wake(self) -> None:
        """Lets it look again at once: somebody has left it work."""
        self._woken.set()
        self._database.tell_news()

    async def _repeat(self) -> None:
        pause_s, stirred_at = _IDLE_S, time.monotonic()
        while not self._stopping.is_set():
            self._woken.clear()
            news = self._database.next_news
            try:
                busy = [await step() for step in self._steps]
                pause_s = 0.0 if any(busy) else _IDLE_S
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("worker_waits", worker=self.name, error=type(error).__name__)
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
                pause_s = min(2 * max(pause_s, _IDLE_S), _LONGEST_PAUSE_S) * jitter
            await _wait(self._woken, pause_s)
            if pause_s and time.monotonic() - stirred_at > _QUIET_AFTER_S:
                await _wait(news, _QUIET_S)
            if not pause_s or news.is_set():
                stirred_at = time.monotonic()


def chunk_by_chunk(name: str, database: Database, chunk: Chunk) -> Repeating:
    """A worker whose step is one chunk in a transaction of its own."""

    async def step() -> bool:
        async with database.transaction() as tx:
            return await chunk(tx)

    return Repeating(name, database, step)


async def _wait(for_it: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await for_it.wait()

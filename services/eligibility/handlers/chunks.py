"""Long jobs done chunk by chunk beside the API: each chunk is one transaction with the place reached in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from libs.common.database import Database, Transaction, is_transient

log = structlog.get_logger(__name__)

_POLL_S = 0.3

Step = Callable[[Transaction], Awaitable[bool]]
"""Does the next chunk of the oldest unfinished job; False when there is nothing to do."""


class ChunkWorker:
    """The worker that takes step after step until it is stopped."""

    def __init__(self, database: Database, step: Step) -> None:
        self._database = database
        self._step = step
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            try:
                async with self._database.transaction() as tx:
                    worked = await self._step(tx)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("chunk_interrupted", step=self._step.__name__, error=type(error).__name__)
                worked = False
            if not worked:
                try:
                    async with asyncio.timeout(_POLL_S):
                        await self._stopping.wait()
                except TimeoutError:
                    pass

    def stop(self) -> None:
        self._stopping.set()

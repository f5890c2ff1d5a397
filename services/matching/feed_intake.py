"""The worker that takes feeds in: read into Parquet, held back where a person has to look at them, and acted on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, text, update

from libs.common.database import Database, is_transient
from services.matching.apart import apart
from services.matching.feeds import FeedFolder, Keys, Stored, take_in
from services.matching.formats import UnreadableFeed
from services.matching.handlers.feeds import notices_of
from services.matching.handlers.news import act_on
from services.matching.sources import SOURCES
from services.matching.tables import feeds

log = structlog.get_logger(__name__)

_FEEDS_AT_ONCE = 2
"""Each holds a connection of its own while it is taken in."""
_ACTING_LOCK = 7010
_SMALL_BYTES = 4 << 20
"""Files up to this size are read within the service, larger ones in a process of their own."""
_FAILURES = 5
"""So often reading a file may fail, or kill its reader, before the file is refused."""
_STRAY_S = 86_400
"""After this time an arrived file that no feed waits for is deleted: it holds identities in plain."""


class FeedIntake:
    """Takes feeds in, within the request or behind it. Safe to run at several places: one acts on a feed at a time."""

    def __init__(self, database: Database, folder: FeedFolder, keys: Keys) -> None:
        self._database = database
        self._folder = folder
        self._keys = keys
        self._at_work = asyncio.Semaphore(_FEEDS_AT_ONCE)
        self._stopping = asyncio.Event()
        self._failures: Counter[UUID] = Counter()
        self.arrived = asyncio.Event()
        """Set when a large file arrived; the worker waits on it."""

    async def run(self) -> None:
        """Takes in what was received and not finished, until `stop`."""
        while not self._stopping.is_set():
            self.arrived.clear()
            unfinished = await self._unfinished()
            for feed_id in unfinished:
                try:
                    await self.take_in(feed_id)
                except UnreadableFeed as error:
                    await self.refuse(feed_id, str(error))
                except Exception as error:  # whatever it is, one file must not end the service
                    if is_transient(error):
                        raise
                    await self._failed(feed_id, error)
            await asyncio.to_thread(self._folder.forget_strays, unfinished, _STRAY_S)
            try:
                async with asyncio.timeout(30):
                    await self.arrived.wait()
            except TimeoutError:
                pass

    def stop(self) -> None:
        self._stopping.set()
        self.arrived.set()

    async def take_in(self, feed_id: UUID) -> None:
        """Brings the feed to `ready`; a file that arrived elsewhere is left to whoever has it. UnreadableFeed when it
        is no feed of its source."""
        async with self._at_work, self._alone(feed_id):
            feed = await self._feed(feed_id)
            if feed is None:
                return
            if feed["status"] == "received" and self._folder.arriving(feed_id).exists():
                feed["status"] = await self._store(feed)
            rows = self._folder.rows(feed["source"], feed["as_of"], feed_id)
            if feed["status"] == "stored" and self._folder.can_read(rows):
                await act_on(self._database, self._folder, feed)

    def adopt(self, arrived: Path, feed: dict[str, Any]) -> None:
        """The same file came again: it stands in for the first where that was lost before it was taken in."""
        waiting = self._folder.arriving(feed["feed_id"])
        if feed["status"] == "received" and not waiting.exists():
            arrived.replace(waiting)
        else:
            arrived.unlink(missing_ok=True)

    async def refuse(self, feed_id: UUID, reason: str) -> None:
        """The file was no feed; it is not kept."""
        async with self._database.transaction() as tx:
            await tx.connection.execute(
                update(feeds).where(feeds.c.feed_id == feed_id).values(status="refused", refusal=reason)
            )
        self._drop(feed_id)

    async def forget(self, feed_id: UUID) -> None:
        """The file was no feed, and its sender was told so: nothing of it stays."""
        async with self._database.transaction() as tx:
            await tx.connection.execute(feeds.delete().where(feeds.c.feed_id == feed_id))
        self._drop(feed_id)

    def _drop(self, feed_id: UUID) -> None:
        self._folder.staging(feed_id).clear()
        self._folder.arriving(feed_id).unlink(missing_ok=True)

    async def _failed(self, feed_id: UUID, error: Exception) -> None:
        """Whoever read the file was killed, ran out of memory, or met what it was not written for: it goes on in the
        next round, but not for ever."""
        log.warning("feed_interrupted", feed_id=str(feed_id), exc_info=error)
        self._failures[feed_id] += 1
        if self._failures[feed_id] >= _FAILURES:
            await self.refuse(feed_id, f"reading it failed {_FAILURES} times, at last by {type(error).__name__}")

    async def _store(self, feed: dict[str, Any]) -> str:
        """Its status then."""
        feed_id, source, as_of = feed["feed_id"], SOURCES[feed["source"]], feed["as_of"]
        arrived = self._folder.arriving(feed_id)
        in_its_place = asyncio.to_thread if arrived.stat().st_size <= _SMALL_BYTES else apart
        stored: Stored = await in_its_place(
            take_in,
            arrived,
            source,
            feed_id,
            as_of,
            self._keys,
            self._folder.rows(source.name, as_of, feed_id),
            self._folder.rejects(source.name, as_of, feed_id),
            self._folder.staging(feed_id),
        )
        kept = (self._folder.rows(source.name, as_of, feed_id), self._folder.rejects(source.name, as_of, feed_id))
        await asyncio.to_thread(self._folder.keep, *kept)
        async with self._database.transaction() as tx:
            notices, doubtful = await notices_of(tx, feed, stored)
            status = "quarantined" if doubtful else "stored"
            await tx.connection.execute(
                update(feeds)
                .where(feeds.c.feed_id == feed_id)
                .values(
                    status=status,
                    accepted=stored.accepted,
                    rejected=stored.rejected,
                    stored_digest=stored.digest,
                    notices=notices,
                )
            )
        arrived.unlink(missing_ok=True)
        return status

    async def _unfinished(self) -> Sequence[UUID]:
        async with self._database.transaction() as tx:
            found = await tx.connection.execute(
                select(feeds.c.feed_id).where(feeds.c.status.in_(("received", "stored"))).order_by(feeds.c.feed_id)
            )
            return found.scalars().all()

    async def _feed(self, feed_id: UUID) -> dict[str, Any] | None:
        async with self._database.transaction() as tx:
            found = await tx.connection.execute(select(feeds).where(feeds.c.feed_id == feed_id))
            row = found.mappings().one_or_none()
            return dict(row) if row else None

    @asynccontextmanager
    async def _alone(self, feed_id: UUID) -> AsyncIterator[None]:
        """One after another per source: what one feed made known, the next must know.

        A session's lock, not a transaction's: a long transaction would hold back everything that is published.
        """
        async with self._database.engine.connect() as connection:
            autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
            feed = await autocommit.execute(select(feeds.c.source).where(feeds.c.feed_id == feed_id))
            names = {"lock": _ACTING_LOCK, "source": feed.scalar_one_or_none() or ""}
            await autocommit.execute(text("SELECT pg_advisory_lock(:lock, hashtext(:source))"), names)
            try:
                yield
            finally:
                await autocommit.execute(text("SELECT pg_advisory_unlock(:lock, hashtext(:source))"), names)

"""Feeds: received once, taken in, and acted on where the sender's word is a fact.

A feed goes through `received` (the file is here), `stored` (its rows lie in Parquet) and `ready`. Each step can be done
again: a feed that a crash left half-way is taken up where it was. A snapshot that is not to be believed stays
`quarantined` between storing and acting, until a person releases it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Database, Transaction, is_transient
from libs.common.errors import Conflict, Forbidden, NotFound
from libs.common.period import business_date
from services.matching import comparison as bulk
from services.matching import engine
from services.matching.apart import apart
from services.matching.exclusions import exclusion_views
from services.matching.feeds import FeedFolder, Keys, Stored, take_in
from services.matching.findings import leads_of
from services.matching.formats import UnreadableFeed
from services.matching.handlers.comparisons import counties_of
from services.matching.handlers.exports import export_known, export_roster
from services.matching.handlers.facts import Assertion, new_fact
from services.matching.handlers.findings import assert_authoritative
from services.matching.handlers.leads import open_leads
from services.matching.handlers.registers import REGISTERS, tell_register
from services.matching.handlers.rosters import LISTED_ROSTERS, tell_roster
from services.matching.parameters import load_parameters
from services.matching.sources import SOURCES, Source
from services.matching.tables import feeds

log = structlog.get_logger(__name__)

_FACTS_AT_ONCE = 1000
_FEEDS_AT_ONCE = 2
"""Each holds a connection of its own while it is taken in."""
_ACTING_LOCK = 7010
_SMALL_BYTES = 4 << 20
"""Files up to this size are read within the service, larger ones in a process of their own."""
_FAILURES = 5
"""So often reading a file may fail, or kill its reader, before the file is refused."""
_STRAY_S = 86_400
"""After this time an arrived file that no feed waits for is deleted: it holds identities in plain."""
_SHRUNK_SHARE = 0.3
_SHRUNK_ROWS = 5
"""A snapshot is not believed that has lost this share of the one before, and this many rows."""
_FACT_KINDS = {"certificates": "certificate.", "low_income": "low_income.", "benefits": "benefit."}
"""Sources whose keeper's word is a fact, and how the kinds of these facts begin (`sql/<source>_facts.sql`)."""


class NotInQuarantine(Conflict):
    """Only a feed in quarantine is released or refused."""

    type = "not-in-quarantine"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that arrived: of which source, for which area, and as of which day."""

    source: Source
    area: str
    as_of: date
    mode: str
    digest: str


def require_sender(source: Source, principal: Principal) -> bool:
    """Whether the sender's word on this source is a fact. Forbidden for who may not send it at all.

    Civil affairs sends any feed, the federation that of certificates, a machine those that its token names.
    """
    if principal.role == "partner":
        if not principal.may_assert(source.name):
            raise Forbidden(f"令牌不含数据来源 {source.name} (your token does not name the source)")
        return source.authority is not None
    if principal.role == "cdpf" and source.name != "certificates":
        raise Forbidden("残联只上传残疾人证数据 (the federation sends certificates only)")
    return principal.role == source.authority


async def receive_feed(
    tx: Transaction, feed_id: UUID, delivery: Delivery, *, authoritative: bool, principal: Principal
) -> dict[str, Any]:
    """The feed that this delivery is: new, or the one that the same file was before."""
    await tx.connection.execute(
        insert(feeds)
        .values(
            feed_id=feed_id,
            source=delivery.source.name,
            area=delivery.area,
            as_of=delivery.as_of,
            mode=delivery.mode,
            digest=delivery.digest,
            status="received",
            authoritative=authoritative,
            sent_by=principal.sub,
        )
        .on_conflict_do_nothing(constraint="the_same_file_is_the_same_feed")
    )
    row = await tx.connection.execute(
        select(feeds).where(
            feeds.c.source == delivery.source.name,
            feeds.c.area == delivery.area,
            feeds.c.as_of == delivery.as_of,
            feeds.c.mode == delivery.mode,
            feeds.c.digest == delivery.digest,
        )
    )
    return dict(row.mappings().one())


async def read_feed(tx: Transaction, feed_id: UUID, principal: Principal) -> dict[str, Any]:
    """NotFound outside one's area."""
    row = (await tx.connection.execute(select(feeds).where(feeds.c.feed_id == feed_id))).mappings().one_or_none()
    if row is None:
        raise NotFound("no such feed")
    principal.require_sight(row["area"], "feed")
    return dict(row)


async def release_feed(tx: Transaction, feed_id: UUID, note: str, principal: Principal) -> None:
    """A person has asked its sender, and believes the snapshot after all; it goes on being taken in."""
    feed = await read_feed(tx, feed_id, principal)
    require_sender(SOURCES[feed["source"]], principal)
    await _leave_quarantine(tx, feed, status="stored", released_by=principal.sub, released_at=tx.now, release_note=note)
    await record(tx, principal, "release feed", str(feed_id), reason=note)


async def refuse_feed(tx: Transaction, feed_id: UUID, reason: str, principal: Principal) -> None:
    """The snapshot is not believed; its sender sends another."""
    feed = await read_feed(tx, feed_id, principal)
    require_sender(SOURCES[feed["source"]], principal)
    await _leave_quarantine(tx, feed, status="refused", refusal=reason)
    await record(tx, principal, "refuse feed", str(feed_id), reason=reason)


async def _leave_quarantine(tx: Transaction, feed: dict[str, Any], **changes: Any) -> None:
    left = await tx.connection.execute(
        update(feeds).where(feeds.c.feed_id == feed["feed_id"], feeds.c.status == "quarantined").values(**changes)
    )
    if left.rowcount == 0:
        raise NotInQuarantine(f"the feed is {feed['status']}")


async def _notices(tx: Transaction, feed: dict[str, Any], stored: Stored) -> tuple[list[str], bool]:
    """What its readers should know of a feed, and whether a person has to look at it before it is believed."""
    notices, doubtful = [], False
    rows = stored.accepted + stored.rejected
    if stored.rejected:
        notices.append(
            f"{rows} 行中退回 {stored.rejected} 行, 逐行列有原因 (rows were not taken; each is listed with its reason)"
        )
    if stored.cut_off:
        notices.append("文件在一行中间结束, 可能被截断 (the file ends in the middle of a row: it seems to be cut off)")
        doubtful = feed["mode"] == "snapshot"
    others = select(feeds.c.as_of, feeds.c.accepted).where(
        feeds.c.source == feed["source"],
        feeds.c.area == feed["area"],
        feeds.c.status.in_(("stored", "ready")),
        feeds.c.feed_id != feed["feed_id"],
    )
    newest = (await tx.connection.execute(others.order_by(feeds.c.as_of.desc()).limit(1))).one_or_none()
    if newest is not None and newest.as_of > feed["as_of"]:
        notices.append(
            f"已有 {newest.as_of} 的数据, 本次 {feed['as_of']} 的不覆盖它 (an old period: the newer outranks it)"
        )
    if feed["mode"] == "snapshot":
        earlier = others.where(feeds.c.mode == "snapshot", feeds.c.as_of <= feed["as_of"])
        before = (
            await tx.connection.execute(earlier.order_by(feeds.c.as_of.desc(), feeds.c.feed_id.desc()).limit(1))
        ).one_or_none()
        lost = before.accepted - stored.accepted if before is not None else 0
        if before is not None and lost >= max(_SHRUNK_ROWS, _SHRUNK_SHARE * before.accepted):
            notices.append(
                f"{before.as_of} 的全量数据有 {before.accepted} 行, 本次只有 {stored.accepted} 行, 经人核实后才采用"
                " (the snapshot has shrunk: not believed until a person releases it)"
            )
            doubtful = True
    return notices, doubtful


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
            if feed["status"] == "stored" and self._folder.can_read(_rows_of(feed, self._folder)):
                await self._act(feed)

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
            notices, doubtful = await _notices(tx, feed, stored)
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

    async def _act(self, feed: dict[str, Any]) -> None:
        """Asserts what the feed says that was not known. Interrupted and done again, it asserts the rest."""
        if feed["authoritative"]:
            news = await self._news(feed)
            changes = news["facts"]
            for start in range(0, len(changes), _FACTS_AT_ONCE):
                async with self._database.transaction() as tx:
                    await _assert_changes(tx, feed, changes.slice(start, _FACTS_AT_ONCE).to_pylist())
            if "leads" in news:
                leads = leads_of(news["leads"].to_pylist())
                for start in range(0, len(leads), _FACTS_AT_ONCE):
                    async with self._database.transaction() as tx:
                        some = leads[start : start + _FACTS_AT_ONCE]
                        await open_leads(tx, some, opened_on=business_date(tx.now))
        if feed["source"] in LISTED_ROSTERS:
            await tell_roster(self._database, self._folder, feed)
        if feed["source"] in REGISTERS:
            await tell_register(self._database, self._folder, feed)
        async with self._database.transaction() as tx:
            await tx.connection.execute(update(feeds).where(feeds.c.feed_id == feed["feed_id"]).values(status="ready"))

    async def _news(self, feed: dict[str, Any]) -> dict[str, pa.Table]:
        """The facts that were not known, and of benefits the leads about whom another area pays: its own comparisons do
        not read this feed. As tables: a province's first register is millions of them, too many for Python objects."""
        source, texts = feed["source"], {"facts": engine.sql_text(f"{feed['source']}_facts")}
        views: dict[str, Any] = {"feed": [await asyncio.to_thread(self._folder.fetch, _rows_of(feed, self._folder))]}
        async with self._database.transaction() as tx:
            views["known"] = await export_known(tx, _FACT_KINDS[source])
            if source == "benefits":
                roster = await export_roster(tx, "")
                rules = bulk.rules(await load_parameters(tx), counties_of(roster))
                elsewhere = pc.invert(pc.starts_with(roster["area"], feed["area"]))
                views |= {"everybody": roster, "roster": roster.filter(elsewhere), source: views["feed"]}
                views |= exclusion_views(rules)
                texts["leads"] = bulk.leads_query(rules, [source])
        duckdb = engine.DuckDb(spill_folder=self._folder.spill)
        return await asyncio.to_thread(lambda: dict(duckdb.tables(texts, views, as_of=feed["as_of"])))

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


def _rows_of(feed: dict[str, Any], folder: FeedFolder) -> Path:
    return folder.rows(feed["source"], feed["as_of"], feed["feed_id"])


async def _assert_changes(tx: Transaction, feed: dict[str, Any], changes: Sequence[dict[str, Any]]) -> None:
    await tx.lock(*{change["person_id"] for change in changes})
    assertions = []
    for change in changes:
        fields = {
            name: value
            for name, value in change.items()
            if value is not None and name not in ("person_id", "kind", "occurred_on", "benefit", "until_on")
        }
        fields |= {"until": change.get("until_on")}
        if "benefit" in change:
            fields["kind"] = change["benefit"]
        fact = new_fact(
            tx, change["kind"], change["person_id"], change["occurred_on"], source=feed["source"], fields=fields
        )
        assertions.append(Assertion(fact, change["area"] or feed["area"], feed["sent_by"], feed_id=feed["feed_id"]))
    await assert_authoritative(tx, assertions)
    more = feeds.c.facts + len(assertions)
    await tx.connection.execute(update(feeds).where(feeds.c.feed_id == feed["feed_id"]).values(facts=more))

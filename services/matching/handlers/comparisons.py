"""Comparisons (数据比对): the roster against every feed there is, each run with its ledger (notice 3).

A run goes through steps, each of which can be done again: its inputs are fixed and the roster is written out
(`prepare`), the engine writes down what it finds (`find`), findings are opened a portion at a time (`note`), the ledger
is closed (`close`). A small run does all of them in the request's transaction; a large one is `running` until the
worker is through (`runs.py`), and goes on where a crash left it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import NotFound
from libs.common.privacy import sm3_hex
from services.matching import comparison as bulk
from services.matching import engine
from services.matching.comparison import REGISTERS, Compared
from services.matching.feeds import FeedFolder, digest_of
from services.matching.findings import Lead, leads_of
from services.matching.handlers import plans
from services.matching.handlers.discrepancies import note_discrepancies
from services.matching.handlers.exports import export_roster
from services.matching.handlers.leads import open_leads
from services.matching.handlers.ledgers import extend_ledger
from services.matching.parameters import load_parameters
from services.matching.sources import COMPARED
from services.matching.tables import comparisons, feeds, roster, rule_texts

SMALL_ROSTER = 20_000
SMALL_FEEDS = 200_000
"""Up to this many rows a comparison is done within the request."""
LEADS_AT_ONCE = 5000
"""Of a portion: their persons are locked for the third of a second that it takes."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which comparison is asked for."""

    level: str
    area: str
    as_of: date


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where comparisons are made: their folder, and their engine."""

    folder: FeedFolder
    engine: engine.Engine


async def order_comparison(tx: Transaction, order: Order, principal: Principal) -> dict[str, Any]:
    """A run that has not begun; its inputs are those there are now."""
    inputs = await _inputs(tx, order)
    row = {
        "comparison_id": new_id(),
        "level": order.level,
        "area": order.area,
        "as_of": order.as_of,
        "status": "running",
        "inputs": inputs,
        "missing": [source for source in COMPARED if source not in {item["source"] for item in inputs}],
        "run_by": principal.sub,
    }
    await tx.connection.execute(insert(comparisons).values(**row))
    await record(tx, principal, "run comparison", str(row["comparison_id"]), as_of=order.as_of)
    return row


async def is_small(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """Whether the run may be done while its caller waits."""
    persons = select(literal(1)).where(func.starts_with(roster.c.area, row["area"])).limit(SMALL_ROSTER + 1).subquery()
    on_roster = await tx.connection.execute(select(func.count()).select_from(persons))
    in_feeds = await tx.connection.execute(
        select(func.coalesce(func.sum(feeds.c.accepted), 0)).where(feeds.c.feed_id.in_(_feed_ids(row)))
    )
    return on_roster.scalar_one() <= SMALL_ROSTER and in_feeds.scalar_one() <= SMALL_FEEDS


async def run_comparison(tx: Transaction, order: Order, workshop: Workshop, principal: Principal) -> dict[str, Any]:
    """Does all steps at once if the run is small; otherwise it is left `running` to the worker."""
    row = await order_comparison(tx, order, principal)
    if await is_small(tx, row):
        await prepare(tx, row["comparison_id"], workshop)
        found = await find(await load(tx, row["comparison_id"]), await rules_of(tx, row["comparison_id"]), workshop)
        await keep_found(tx, row["comparison_id"], found)
        async for portion in leads_left(await load(tx, row["comparison_id"]), workshop):
            await note(tx, row["comparison_id"], portion)
        await close(tx, row["comparison_id"], workshop)
    return await load(tx, row["comparison_id"])


async def prepare(tx: Transaction, comparison_id: UUID, workshop: Workshop) -> None:
    """Writes the roster out, and the ledger's first entry: from here on the run reads only what cannot change."""
    row = await load(tx, comparison_id)
    table = await export_roster(tx, row["area"])
    path = workshop.folder.comparison(comparison_id, "roster")
    path.unlink(missing_ok=True)  # of an attempt that was not committed
    await asyncio.to_thread(engine.write_parquet, table, path)
    await asyncio.to_thread(workshop.folder.keep, path)
    texts = bulk.rules(await load_parameters(tx), counties_of(table))
    digests = {name: sm3_hex(text.encode()) for name, text in texts.items()}
    await tx.connection.execute(
        upsert(rule_texts)
        .values([{"digest": digests[name], "name": name, "body": text} for name, text in texts.items()])
        .on_conflict_do_nothing()
    )
    roster_digest = await asyncio.to_thread(digest_of, path)
    header = {
        "entry": "comparison",
        **{name: row[name] for name in ("comparison_id", "level", "area", "as_of", "inputs", "missing")},
        "rules": digests,
        "roster": roster_digest,
    }
    await extend_ledger(tx, comparison_id, [header])
    compared = pc.count_distinct(table["person_id"]).as_py()
    await _save(tx, comparison_id, roster_digest=roster_digest, rules=digests, compared=compared)


async def rules_of(tx: Transaction, comparison_id: UUID) -> dict[str, str]:
    """The rules that a run that was prepared goes by, by name: they were fixed with its inputs."""
    digests: dict[str, str] = (await load(tx, comparison_id))["rules"]
    found = await tx.connection.execute(select(rule_texts).where(rule_texts.c.digest.in_(digests.values())))
    bodies = {item.digest: item.body for item in found}
    return {name: bodies[digest] for name, digest in digests.items()}


async def find(
    row: Mapping[str, Any],
    rules: Mapping[str, str],
    workshop: Workshop,
    *,
    place: Callable[..., Awaitable[Compared]] = asyncio.to_thread,
) -> Compared:
    """Runs the rules and writes down what they find, in a thread or a process apart. Needs no transaction; done again,
    it writes the same."""
    folder, comparison_id = workshop.folder, row["comparison_id"]
    leads, discrepancies = folder.comparison(comparison_id, "leads"), folder.comparison(comparison_id, "discrepancies")
    for path in (leads, discrepancies):
        path.unlink(missing_ok=True)
    found = await place(
        bulk.compare_and_keep,
        workshop.engine,
        rules,
        await asyncio.to_thread(folder.fetch, folder.comparison(comparison_id, "roster")),
        await asyncio.to_thread(feeds_of, row, folder),
        row["as_of"],
        leads,
        discrepancies,
    )
    await asyncio.to_thread(folder.keep, leads, discrepancies)
    return found


async def keep_found(tx: Transaction, comparison_id: UUID, found: Compared) -> None:
    await _save(tx, comparison_id, leads=found.leads, found_digest=found.digest)


async def leads_left(row: Mapping[str, Any], workshop: Workshop) -> AsyncGenerator[Sequence[Lead]]:
    """The leads that were not noted yet, by the portion. While one is noted, the next is made ready."""
    path = await asyncio.to_thread(workshop.folder.fetch, workshop.folder.comparison(row["comparison_id"], "leads"))
    portions = _portions(path, row["noted"])
    coming = asyncio.create_task(asyncio.to_thread(next, portions, None))
    try:
        while (portion := await coming) is not None:
            coming = asyncio.create_task(asyncio.to_thread(next, portions, None))
            yield portion
    finally:
        coming.cancel()


async def note(tx: Transaction, comparison_id: UUID, portion: Sequence[Lead]) -> None:
    """Opens findings for a portion of leads."""
    row = await load(tx, comparison_id)
    noted = await open_leads(tx, portion, opened_on=row["as_of"], comparison_id=comparison_id)
    if noted.entries:
        await extend_ledger(tx, comparison_id, noted.entries)
    by_kind = Counter(row["by_kind"]) + noted.opened
    await _save(
        tx,
        comparison_id,
        noted=row["noted"] + len(portion),
        findings=row["findings"] + noted.opened.total(),
        by_kind=dict(sorted(by_kind.items())),
    )


async def close(tx: Transaction, comparison_id: UUID, workshop: Workshop) -> None:
    """Notes what does not fit together, and closes the ledger's part of the run; the plan it fulfils is done."""
    row = await load(tx, comparison_id)
    path = await asyncio.to_thread(workshop.folder.fetch, workshop.folder.comparison(comparison_id, "discrepancies"))
    table = await asyncio.to_thread(pq.read_table, path)
    noted, entries = await note_discrepancies(tx, table, comparison_id=comparison_id, noted_on=row["as_of"])
    counts = {name: row[name] for name in ("compared", "leads", "findings", "by_kind")}
    entry = {"entry": "counts", **counts, "discrepancies": noted, "found": row["found_digest"]}
    digest = await extend_ledger(tx, comparison_id, [*entries, entry])
    await _save(tx, comparison_id, status="completed", digest=digest, discrepancies=noted)
    await plans.note_review(tx, row)


async def fail(tx: Transaction, comparison_id: UUID, reason: str) -> None:
    """The run cannot be finished; what it opened so far stands, and another finds the rest."""
    await extend_ledger(tx, comparison_id, [{"entry": "failure", "reason": reason}])
    await _save(tx, comparison_id, status="failed", failure=reason)


async def load(tx: Transaction, comparison_id: UUID) -> dict[str, Any]:
    found = await tx.connection.execute(select(comparisons).where(comparisons.c.comparison_id == comparison_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such comparison")
    return dict(row)


async def read_comparison(tx: Transaction, comparison_id: UUID, principal: Principal) -> dict[str, Any]:
    """NotFound outside one's area."""
    row = await load(tx, comparison_id)
    principal.require_sight(row["area"], "comparison")
    return row


def counties_of(roster: pa.Table) -> set[str]:
    """The counties that pay somebody on it."""
    return {area[:6] for area in roster["area"].unique().to_pylist()}


def feeds_of(row: Mapping[str, Any], folder: FeedFolder) -> list[bulk.Feed]:
    """The feeds that the run reads, brought here if they lie elsewhere."""
    return [_feed_of(item, folder) for item in row["inputs"]]


def _feed_of(item: Mapping[str, Any], folder: FeedFolder) -> bulk.Feed:
    named = item["source"], date.fromisoformat(item["as_of"]), UUID(item["feed_id"])
    whole = item["use"] == "snapshot"
    return bulk.Feed(
        item["source"],
        UUID(item["feed_id"]),
        folder.fetch(folder.rows(*named)),
        before=item["use"] == "before",
        whole=whole,
        rejects=folder.fetch(folder.rejects(*named)) if whole else None,
    )


async def _save(tx: Transaction, comparison_id: UUID, **changes: Any) -> None:
    await tx.connection.execute(
        update(comparisons).where(comparisons.c.comparison_id == comparison_id).values(**changes)
    )


def _feed_ids(row: Mapping[str, Any]) -> list[UUID]:
    return [UUID(item["feed_id"]) for item in row["inputs"]]


async def _inputs(tx: Transaction, order: Order) -> list[dict[str, Any]]:
    """The feeds that speak of the area by that day: of each source and area the newest snapshot with the deltas since,
    and of registers the snapshot that the comparison before read, which shows who has vanished."""
    found = await tx.connection.execute(
        select(feeds)
        .where(
            feeds.c.source.in_(COMPARED),
            feeds.c.status == "ready",
            feeds.c.as_of <= order.as_of,
            or_(feeds.c.area.startswith(order.area), literal(order.area).startswith(feeds.c.area)),
        )
        .order_by(feeds.c.source, feeds.c.as_of, feeds.c.feed_id)
    )
    compared_before = await tx.connection.execute(
        select(func.max(comparisons.c.as_of)).where(
            comparisons.c.area == order.area, comparisons.c.status == "completed", comparisons.c.as_of < order.as_of
        )
    )
    last_as_of = compared_before.scalar_one()
    of_register: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in found.mappings():
        of_register.setdefault((row["source"], row["area"]), []).append(dict(row))
    inputs: list[dict[str, Any]] = []
    for rows in of_register.values():
        snapshots = [row for row in rows if row["mode"] == "snapshot"]
        newest = snapshots[-1] if snapshots else None
        since = [row for row in rows if newest is None or row["as_of"] >= newest["as_of"]]
        inputs += [_input(row, "snapshot" if row is newest else "rows") for row in since if row not in snapshots[:-1]]
        if newest is not None and newest["source"] in REGISTERS:
            earlier = [row for row in snapshots if row["as_of"] < newest["as_of"]]
            compared = [row for row in earlier if last_as_of is None or row["as_of"] <= last_as_of]
            inputs += [_input((compared or earlier)[-1], "before")] if earlier else []
    return inputs


def _input(row: Mapping[str, Any], use: str) -> dict[str, Any]:
    return {
        "source": row["source"],
        "feed_id": str(row["feed_id"]),
        "digest": row["stored_digest"],
        "as_of": row["as_of"].isoformat(),
        "use": use,
    }


def _portions(path: Path, noted: int) -> Iterator[list[Lead]]:
    """The leads from there on, no person's cut apart."""
    rest = pq.ParquetFile(path).read().slice(noted)
    persons = rest["person_id"].combine_chunks()
    ends = np.append(np.flatnonzero(pc.not_equal(persons[:-1], persons[1:])) + 1, len(rest))  # of each person's leads
    start = 0
    while start < len(rest):
        end = ends[np.searchsorted(ends, min(start + LEADS_AT_ONCE, len(rest)))]
        yield leads_of(rest.slice(start, end - start).to_pylist())
        start = end

"""Comparisons (数据比对): the roster against every feed there is, each run with its ledger (notice 3)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import insert, literal, or_, select

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import NotFound
from libs.common.privacy import Sealer, sm3_hex
from services.matching import engine
from services.matching.feeds import FeedFolder, digest_of
from services.matching.findings import Lead
from services.matching.handlers.exports import export_roster
from services.matching.handlers.findings import Noted, open_leads
from services.matching.handlers.ledgers import extend_ledger
from services.matching.names import open_names
from services.matching.sources import COMPARED, SOURCES
from services.matching.tables import comparisons, feeds


@dataclass(frozen=True, slots=True)
class Order:
    """Which comparison is asked for."""

    level: str
    area: str
    as_of: date


async def run_comparison(
    tx: Transaction, order: Order, folder: FeedFolder, sealer: Sealer, principal: Principal
) -> dict[str, Any]:
    """Sets the roster of the area against the feeds up to `as_of`, opens what is found, and closes the ledger's part.

    A run reads only what is stored and unchangeable: its roster is written beside the feeds, with a digest.
    """
    comparison_id = new_id()
    roster = await export_roster(tx, order.area)
    roster_path = folder.comparison(comparison_id)
    inputs = await _inputs(tx, order)
    leads, roster_digest = await asyncio.to_thread(_compare, order, roster, roster_path, inputs, folder, sealer)
    noted = await open_leads(tx, leads, opened_on=order.as_of, comparison_id=comparison_id)
    compared = pc.count_distinct(roster["person_id"]).as_py()
    by_kind = dict(sorted(Counter(row["kind"] for row in noted.opened).items()))
    counts = {"compared": compared, "findings": len(noted.opened), "by_kind": by_kind}
    listed = [
        {"source": feed["source"], "feed_id": str(feed["feed_id"]), "digest": feed["stored_digest"]} for feed in inputs
    ]
    missing = [source for source in COMPARED if source not in {feed["source"] for feed in inputs}]
    header = {
        "entry": "comparison",
        "comparison_id": comparison_id,
        "level": order.level,
        "area": order.area,
        "as_of": order.as_of,
        "rules": {name: sm3_hex(engine.sql_text(name).encode()) for name in (*COMPARED, "excluding")},
        "roster": roster_digest,
        "inputs": listed,
        "missing": missing,
    }
    digest = await extend_ledger(tx, comparison_id, [header, *_found(noted), {"entry": "counts", **counts}])
    row = {
        "comparison_id": comparison_id,
        "level": order.level,
        "area": order.area,
        "as_of": order.as_of,
        "status": "completed",
        **counts,
        "inputs": listed,
        "missing": missing,
        "digest": digest,
        "run_by": principal.sub,
    }
    await tx.connection.execute(insert(comparisons).values(**row))
    await record(tx, principal, "run comparison", str(comparison_id), as_of=order.as_of, digest=digest)
    return row


async def read_comparison(tx: Transaction, comparison_id: UUID, principal: Principal) -> dict[str, Any]:
    """NotFound outside one's area."""
    found = await tx.connection.execute(select(comparisons).where(comparisons.c.comparison_id == comparison_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such comparison")
    principal.require_sight(row["area"], "comparison")
    return dict(row)


async def _inputs(tx: Transaction, order: Order) -> list[dict[str, Any]]:
    """The feeds that speak of the area by that day; where there is a snapshot, it and what came after it."""
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
    rows = [dict(row) for row in found.mappings()]
    whole_since: dict[tuple[str, str], date] = {}
    for row in rows:
        if row["mode"] == "snapshot":
            whole_since[row["source"], row["area"]] = row["as_of"]
    return [row for row in rows if row["as_of"] >= whole_since.get((row["source"], row["area"]), row["as_of"])]


def _compare(
    order: Order,
    roster: pa.Table,
    roster_path: Any,
    inputs: Sequence[Mapping[str, Any]],
    folder: FeedFolder,
    sealer: Sealer,
) -> tuple[list[Lead], str]:
    engine.write_parquet(roster, roster_path)
    by_source: dict[str, list[Any]] = {}
    by_feed: dict[str, Path] = {}
    for feed in inputs:
        path = folder.rows(feed["source"], feed["as_of"], feed["feed_id"])
        by_source.setdefault(feed["source"], []).append(path)
        by_feed[str(feed["feed_id"])] = path
    leads = []
    for source in COMPARED:
        if source in by_source:
            views = {"roster": [roster_path], source: by_source[source]}
            found = engine.query(source, views, as_of=order.as_of)
            names = _names(source, found, by_feed, sealer)
            leads += [_lead(source, row, names.get((row["feed_id"], row["feed_row"]))) for row in found]
    return leads, digest_of(roster_path)


def _names(
    source: str, found: Sequence[Mapping[str, Any]], paths: Mapping[str, Path], sealer: Sealer
) -> dict[tuple[str, int], str]:
    """The names that the sources gave, by feed and row, sealed anew for the persons whom they are of."""
    if "name" not in {column.name for column in SOURCES[source].columns}:
        return {}
    by_feed: dict[str, dict[int, str]] = {}
    for row in found:
        by_feed.setdefault(row["feed_id"], {})[row["feed_row"]] = row["person_id"]
    return {
        (feed_id, at): sealer.seal(name, "feeds", persons[at], "name")
        for feed_id, persons in by_feed.items()
        for at, name in open_names(paths[feed_id], sealer, UUID(feed_id), "name", persons).items()
    }


def _lead(source: str, row: Mapping[str, Any], name_sealed: str | None) -> Lead:
    return Lead(
        person_id=row["person_id"],
        kind=row["kind"],
        alleged_on=row["alleged_on"],
        area=row["area"],
        source=source,
        detail=_detail(row),
        name_sealed=name_sealed,
        feed_id=UUID(row["feed_id"]),
    )


def _detail(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the fact would have: which `word` means what depends on its kind."""
    kind, word, until = row["kind"], row["word"], row["until_on"]
    detail: dict[str, Any] = {} if until is None else {"until": until.isoformat()}
    if word is None:
        return detail
    if kind in ("person.imprisoned", "benefit.started"):
        return {**detail, "kind": word}
    if kind == "low_income.exited":
        return {**detail, "category": word}
    if kind == "certificate.moved_out":
        return {**detail, "in_transit": True}
    if kind == "person.moved":
        return {**detail, "to_area": word, "from_area": row["area"]}
    return {**detail, "reason": word}


def _found(noted: Noted) -> list[dict[str, Any]]:
    """What the run found, as the ledger tells it: findings opened, and evidence for those that were open."""
    opened = [
        {
            "entry": "finding",
            **{name: row[name] for name in ("finding_id", "person_id", "kind", "area", "alleged_on", "due_on")},
        }
        for row in noted.opened
    ]
    added = [
        {"entry": "evidence", "finding_id": finding_id, "source": lead.source, "alleged_on": lead.alleged_on}
        for finding_id, lead in noted.added
    ]
    return opened + added

"""The names that feeds gave, read from the feeds themselves; of whom no feed names, that of the application."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pyarrow.parquet as pq
from sqlalchemy import func, literal, or_, select

from libs.common.database import Transaction, among
from libs.common.events.intake import contact_place
from libs.common.privacy import Sealer
from services.matching.feeds import FeedFolder
from services.matching.names import open_names
from services.matching.sources import SOURCES
from services.matching.tables import claims, contact_names, feeds, findings

_NAMING = [source.name for source in SOURCES.values() if any(column.name == "name" for column in source.columns)]
_REGISTERS = ("certificates", "low_income")
"""Feeds that name recipients."""
_NEWEST = 6
"""So many of them are looked through for the names of a list."""


async def names_of(
    tx: Transaction, finding_ids: Iterable[UUID], folder: FeedFolder, sealer: Sealer
) -> Mapping[UUID, str]:
    """Finding → the name that the first of its claims gave, else that of the application, if there is any."""
    finding_ids = list(finding_ids)
    told = await tx.connection.execute(
        select(claims.c.finding_id, claims.c.feed_row, claims.c.source, feeds.c.feed_id, feeds.c.as_of)
        .join(feeds, feeds.c.feed_id == claims.c.feed_id)
        .where(claims.c.finding_id.in_(finding_ids), claims.c.source.in_(_NAMING))
        .order_by(claims.c.claim_id.desc())
    )
    of_feed: dict[tuple[UUID, Path], list[tuple[UUID, int]]] = {}
    for row in told:
        path = folder.rows(row.source, row.as_of, row.feed_id)
        of_feed.setdefault((row.feed_id, path), []).append((row.finding_id, row.feed_row))
    names = await asyncio.to_thread(_of_rows, of_feed, folder, sealer)
    unnamed = await tx.connection.execute(
        select(findings.c.finding_id, findings.c.person_id).where(
            findings.c.finding_id.in_(set(finding_ids) - set(names))
        )
    )
    persons = {row.finding_id: row.person_id for row in unnamed}
    applied = await _as_applied(tx, set(persons.values()), sealer)
    return names | {finding_id: applied[person] for finding_id, person in persons.items() if person in applied}


async def names_of_persons(
    tx: Transaction, persons: Collection[str], area: str, folder: FeedFolder, sealer: Sealer
) -> Mapping[str, str]:
    """Person → the name in the newest registers of the area, else that of the application, if there is any."""
    if not persons:
        return {}
    newest = await tx.connection.execute(
        select(feeds.c.feed_id, feeds.c.source, feeds.c.as_of)
        .where(
            feeds.c.source.in_(_REGISTERS),
            feeds.c.status == "ready",
            or_(feeds.c.area.startswith(area, autoescape=True), func.starts_with(literal(area), feeds.c.area)),
        )
        .order_by(feeds.c.as_of.desc(), feeds.c.feed_id.desc())
        .limit(_NEWEST)
    )
    paths = [(row.feed_id, folder.rows(row.source, row.as_of, row.feed_id)) for row in newest]
    names = await asyncio.to_thread(_of_persons, set(persons), paths, folder, sealer)
    return names | await _as_applied(tx, set(persons) - set(names), sealer)


async def _as_applied(tx: Transaction, persons: Collection[str], sealer: Sealer) -> dict[str, str]:
    found = await tx.connection.execute(select(contact_names).where(among(contact_names.c.person_id, persons)))
    return {
        row.person_id: sealer.open(
            row.name, *((row.event_id, "name") if row.event_id else contact_place(row.person_id, "name"))
        )
        for row in found
    }


def _of_rows(
    of_feed: Mapping[tuple[UUID, Path], Sequence[tuple[UUID, int]]], folder: FeedFolder, sealer: Sealer
) -> dict[UUID, str]:
    names: dict[UUID, str] = {}
    for (feed_id, path), rows in of_feed.items():
        with suppress(FileNotFoundError):  # a feed that was lost must not keep anybody from verifying
            opened = open_names(folder.fetch(path), sealer, feed_id, "name", [row for _, row in rows])
            names |= {finding_id: opened[row] for finding_id, row in rows if row in opened}
    return names


def _of_persons(
    wanted: set[str], paths: Sequence[tuple[UUID, Path]], folder: FeedFolder, sealer: Sealer
) -> dict[str, str]:
    names: dict[str, str] = {}
    for feed_id, path in paths:
        if not wanted:
            break
        with suppress(FileNotFoundError):
            listed = pq.read_table(
                folder.fetch(path), columns=["person_id", "feed_row"], filters=[("person_id", "in", wanted)]
            )
            rows = dict(zip(listed["feed_row"].to_pylist(), listed["person_id"].to_pylist(), strict=True))
            names |= {rows[row]: name for row, name in open_names(path, sealer, feed_id, "name", rows).items()}
            wanted -= set(names)
    return names

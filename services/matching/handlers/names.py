"""The names that feeds gave to whom findings are about, read from the feeds themselves: nowhere else do they lie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from libs.common.database import Transaction
from libs.common.privacy import Sealer
from services.matching.feeds import FeedFolder
from services.matching.names import open_names
from services.matching.sources import SOURCES
from services.matching.tables import claims, feeds


async def names_of(
    tx: Transaction, finding_ids: Iterable[UUID], folder: FeedFolder, sealer: Sealer
) -> Mapping[UUID, str]:
    """Finding → the name that the first of its claims gave; those of whom no feed gave a name are left out."""
    told = await tx.connection.execute(
        select(claims.c.finding_id, claims.c.feed_row, claims.c.source, feeds.c.feed_id, feeds.c.as_of)
        .join(feeds, feeds.c.feed_id == claims.c.feed_id)
        .where(claims.c.finding_id.in_(list(finding_ids)), claims.c.source.in_(_NAMING))
        .order_by(claims.c.claim_id.desc())
    )
    of_feed: dict[tuple[UUID, Path], list[tuple[UUID, int]]] = {}
    for row in told:
        path = folder.rows(row.source, row.as_of, row.feed_id)
        of_feed.setdefault((row.feed_id, path), []).append((row.finding_id, row.feed_row))
    return await asyncio.to_thread(_open, of_feed, folder, sealer)


_NAMING = [source.name for source in SOURCES.values() if any(column.name == "name" for column in source.columns)]


def _open(
    of_feed: Mapping[tuple[UUID, Path], Sequence[tuple[UUID, int]]], folder: FeedFolder, sealer: Sealer
) -> dict[UUID, str]:
    names: dict[UUID, str] = {}
    for (feed_id, path), rows in of_feed.items():
        with suppress(FileNotFoundError):  # a feed that was lost must not keep anybody from verifying
            opened = open_names(folder.fetch(path), sealer, feed_id, "name", [row for _, row in rows])
            names |= {finding_id: opened[row] for finding_id, row in rows if row in opened}
    return names

"""An old comparison run again from what it stored, under the rules of its own day (notice 3.9)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from libs.common.database import Transaction
from libs.common.errors import Conflict
from libs.common.privacy import sm3_hex
from services.matching import comparison as bulk
from services.matching.apart import apart
from services.matching.engine import Engine
from services.matching.feeds import FeedFolder, digest_of
from services.matching.handlers.comparisons import Workshop, feeds_of, rules_of


class NotComparedYet(Conflict):
    """Only a comparison that is completed can be run again."""

    type = "not-compared-yet"


@dataclass(frozen=True, slots=True)
class Rerun:
    """`changed` names the stored inputs and rules whose digest is no longer that of the ledger."""

    leads: int
    digest: str
    changed: list[str]


async def rerun_comparison(tx: Transaction, row: dict[str, Any], workshop: Workshop) -> dict[str, Any]:
    """The same findings come out, or what has changed is named. Stores nothing."""
    if row["status"] != "completed":
        raise NotComparedYet(f"it is {row['status']}")
    texts = await rules_of(tx, row["comparison_id"])
    place = asyncio.to_thread if row["leads"] < 1000 and row["compared"] < 20_000 else apart
    again: Rerun = await place(_rerun, row, texts, workshop.folder, workshop.engine)
    return {
        "comparison_id": row["comparison_id"],
        "same": again.digest == row["found_digest"] and not again.changed,
        "leads": again.leads,
        "digest": again.digest,
        "recorded_digest": row["found_digest"],
        "changed": again.changed,
    }


def _rerun(row: dict[str, Any], texts: dict[str, str], folder: FeedFolder, engine: Engine) -> Rerun:
    comparison_id: UUID = row["comparison_id"]
    as_of: date = row["as_of"]
    roster = folder.fetch(folder.comparison(comparison_id, "roster"))
    feeds = feeds_of(row, folder)
    recorded = {item["feed_id"]: item["digest"] for item in row["inputs"]}
    changed = [f"rule {name}" for name, text in texts.items() if sm3_hex(text.encode()) != row["rules"][name]]
    changed += ["roster"] if digest_of(roster) != row["roster_digest"] else []
    changed += [f"feed {feed.feed_id}" for feed in feeds if digest_of(feed.path) != recorded[str(feed.feed_id)]]
    leads, discrepancies = bulk.compare(engine, texts, roster, feeds, as_of)
    return Rerun(len(leads), bulk.digest_of_found(leads, discrepancies), changed)

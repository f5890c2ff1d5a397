"""Rosters that others keep, as matching tells them: kept until they are compared, and two years (notice 4.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.projection import Received


async def keep_listed(tx: Transaction, received: Sequence[Received]) -> None:
    """What a roster lists of these persons."""
    listed = [
        {
            "feed_id": str(item.data.feed_id),
            "person_id": item.data.person_id,
            "subsidy": entry.subsidy,
            "area": entry.area,
            "first": entry.from_.first_day.isoformat(),
            "after": entry.to.next.first_day.isoformat() if entry.to else None,
        }
        for item in received
        for entry in item.data.entries
    ]
    await tx.connection.execute(
        text(
            "INSERT INTO listed_persons (feed_id, person_id, subsidy, months, area)"
            " SELECT feed_id, person_id, subsidy, daterange(first, after), area"
            " FROM jsonb_to_recordset(CAST(:listed AS jsonb)) AS told (feed_id uuid, person_id text, subsidy text,"
            " area text, first date, after date) ON CONFLICT DO NOTHING"
        ),
        {"listed": json.dumps(listed)},
    )


async def keep_received(tx: Transaction, received: Sequence[Received]) -> None:
    """Of which roster, area and day a feed is, and how many persons it lists."""
    await tx.connection.execute(
        text(
            "INSERT INTO listed_rosters (feed_id, roster, area, as_of, persons)"
            " SELECT feed_id, roster, area, as_of, persons FROM jsonb_to_recordset(CAST(:told AS jsonb))"
            " AS told (feed_id uuid, roster text, area text, as_of date, persons integer) ON CONFLICT DO NOTHING"
        ),
        {"told": json.dumps([item.data.model_dump(mode="json") for item in received])},
    )


async def forget_old_rosters(tx: Transaction, as_of: date) -> int:
    """Their differences stay as cases and certificates; the rosters themselves go after two years."""
    gone = await tx.connection.execute(
        text(
            "WITH gone AS (DELETE FROM listed_rosters WHERE as_of < CAST(:as_of AS date) - interval '2 years'"
            " RETURNING feed_id) DELETE FROM listed_persons USING gone WHERE listed_persons.feed_id = gone.feed_id"
        ),
        {"as_of": as_of},
    )
    return gone.rowcount

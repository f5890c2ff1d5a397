"""Watermarks: up to when everything that a service accepted is known downstream.

A relay tells, in each partition of its topics, the moment before which everything its service committed has been
published. A service that passes facts on tells the least of its own moment and its upstreams'. A reader that has read a
watermark past T in every partition has seen all that was acknowledged before T.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

WATERMARK_TYPE = "watermark.advanced.v1"


class Watermark(BaseModel):
    """The control record's data. `after_offset` is the last offset that its relay wrote to this partition (-1: none):
    a watermark at or below it lies in a new, empty log that has replaced the old one, and says nothing."""

    model_config = ConfigDict(frozen=True)

    until: datetime
    after_offset: int


async def read_watermark(
    connection: AsyncConnection, topics: list[str], partitions: int, *, reader: str
) -> datetime | None:
    """The least moment read over every partition of `topics`; None while any has told none."""
    row = (
        await connection.execute(
            text(
                "SELECT count(until) AS told, min(until) AS least FROM watermarks"
                " WHERE reader = :reader AND topic = ANY(:topics) AND partition < :partitions"
            ),
            {"reader": reader, "topics": topics, "partitions": partitions},
        )
    ).one()
    return row.least if row.told == len(topics) * partitions else None


async def save_watermarks(
    connection: AsyncConnection, reader: str, seen: dict[tuple[str, int], tuple[datetime | None, UUID | None]]
) -> None:
    """Moves the stored moments forward; `seen` is by (topic, partition)."""
    if not seen:
        return
    keys = sorted(seen)
    await connection.execute(
        text(
            "INSERT INTO watermarks (reader, topic, partition, until, incarnation)"
            " SELECT :reader, * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]),"
            " CAST(:untils AS timestamptz[]), CAST(:incarnations AS uuid[]))"
            " ON CONFLICT (reader, topic, partition) DO UPDATE SET"
            " until = GREATEST(watermarks.until, excluded.until),"
            " incarnation = COALESCE(excluded.incarnation, watermarks.incarnation)"
        ),
        {
            "reader": reader,
            "topics": [topic for topic, _ in keys],
            "partitions": [partition for _, partition in keys],
            "untils": [seen[key][0] for key in keys],
            "incarnations": [seen[key][1] for key in keys],
        },
    )

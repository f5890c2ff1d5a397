"""By channel: how many apply, how many of them rightly, and why applications are returned (notice 1.7)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import text

from libs.common.areas import Area
from libs.common.auth import Official
from libs.common.database import rows
from libs.common.errors import InvalidInput
from libs.common.period import Period
from libs.common.vocabulary import DoorChannel
from libs.common.web import Tx, router

api = router(prefix="/v1", tags=["statistics"])


class ReturnReason(BaseModel):
    reason: str
    times: int


class ChannelStatistics(BaseModel):
    """Of the applications received in the month. `share` of all channels; `effective`: approved ÷ submitted (有效率),
    null while none was submitted."""

    channel: DoorChannel
    submitted: int
    share: float
    approved: int
    rejected: int
    withdrawn: int
    returned: int
    effective: float | None
    return_reasons: list[ReturnReason]


class Statistics(BaseModel):
    area: str
    period: Period
    submitted: int
    channels: list[ChannelStatistics]


def _period(period: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-03"])]) -> Period:
    try:
        return Period.parse(period)
    except ValueError as error:
        raise InvalidInput.at("query.period", str(error)) from error


@api.get("/channel-statistics")
async def channel_statistics(
    tx: Tx, reader: Official, area: Annotated[Area, Query()], period: Annotated[Period, Depends(_period)]
) -> Statistics:
    """The applications that an area received in a month, by channel, as they stand now."""
    reader.require_area(area)
    received = {"area": area, "first": period.first_day, "last": period.last_day}
    counts = {row["channel"]: row for row in rows(await tx.connection.execute(_COUNTS, received))}
    reasons = rows(await tx.connection.execute(_RETURN_REASONS, received))
    total = sum(row["submitted"] for row in counts.values())
    channels = [
        ChannelStatistics(
            **row,
            share=round(row["submitted"] / total, 4) if total else 0.0,
            effective=round(row["approved"] / row["submitted"], 4) if row["submitted"] else None,
            return_reasons=[
                ReturnReason(reason=item["reason"], times=item["times"])
                for item in reasons
                if item["channel"] == row["channel"]
            ],
        )
        for row in counts.values()
    ]
    return Statistics(area=area, period=period, submitted=total, channels=channels)


_COUNTS = text(
    """
    SELECT c.channel, count(a.application_id) AS submitted,
        count(*) FILTER (WHERE a.status = 'approved') AS approved,
        count(*) FILTER (WHERE a.status = 'rejected') AS rejected,
        count(*) FILTER (WHERE a.status = 'withdrawn') AS withdrawn,
        count(*) FILTER (WHERE EXISTS (
            SELECT FROM reviews r WHERE r.application_id = a.application_id AND r.outcome = 'return')) AS returned
    FROM unnest(ARRAY['counter', 'online', 'cross_province', 'one_thing']) WITH ORDINALITY AS c(channel, place)
    LEFT JOIN applications a
        ON a.channel = c.channel AND starts_with(a.area, :area) AND a.received_on BETWEEN :first AND :last
    GROUP BY c.channel, c.place ORDER BY c.place
    """
)
_RETURN_REASONS = text(
    """
    SELECT a.channel, r.reason, count(*) AS times FROM reviews r JOIN applications a USING (application_id)
    WHERE r.outcome = 'return' AND starts_with(a.area, :area) AND a.received_on BETWEEN :first AND :last
    GROUP BY a.channel, r.reason ORDER BY count(*) DESC, r.reason LIMIT 100
    """
)

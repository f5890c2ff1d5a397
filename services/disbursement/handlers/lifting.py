"""When what was waited for from eligibility has arrived: the watermark tells.

A confirmed finding became a fact in the same transaction of matching. It holds here until everything that eligibility
concluded from what was known then has been read: nothing can be paid between the confirmation and the new schedule.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.envelope import bulk_topic_of, topic_of
from libs.common.settings import Settings
from libs.common.watermark import read_watermark

SERVICE = "disbursement"
UPSTREAMS = ("intake", "matching", "eligibility")


async def known_until(tx: Transaction, settings: Settings) -> datetime | None:
    """Everything that any service acknowledged before this moment has taken effect here; None: not told yet."""
    return await _read(tx, settings, [topic_of(name) for name in UPSTREAMS])


async def lift_answered_holds(tx: Transaction, settings: Settings) -> int:
    """Lifts the holds of confirmed findings whose fact eligibility has taken into account; how many."""
    answered_until = await _read(tx, settings, [topic_of("eligibility")])
    if answered_until is None:
        return 0
    lifted = await tx.connection.execute(
        text(
            "UPDATE findings SET lifted_at = :now"
            " WHERE status = 'confirmed' AND lifted_at IS NULL AND told_at < :answered_until"
        ),
        {"now": tx.now, "answered_until": answered_until},
    )
    return lifted.rowcount


async def absorb_takeovers(tx: Transaction, settings: Settings) -> int:
    """Notes the rosters that are taken over and of which every payee, every month paid elsewhere and every schedule has
    been read; how many. Schedules were told before intake called the takeover finished: it had heard of them itself."""
    read_until = await _read(tx, settings, [bulk_topic_of("intake"), bulk_topic_of("eligibility")])
    if read_until is None:
        return 0
    absorbed = await tx.connection.execute(
        text(
            "UPDATE takeovers SET absorbed_at = :now"
            " WHERE status = 'finished' AND absorbed_at IS NULL AND told_at < :read_until"
        ),
        {"now": tx.now, "read_until": read_until},
    )
    return absorbed.rowcount


async def absorb_reevaluations(tx: Transaction, settings: Settings) -> int:
    """Notes the finished re-evaluations whose schedules, which come on the bulk lane, have all been read; how many."""
    read_until = await _read(tx, settings, [bulk_topic_of("eligibility"), topic_of("eligibility")])
    if read_until is None:
        return 0
    absorbed = await tx.connection.execute(
        text(
            "UPDATE reevaluations SET absorbed_at = :now"
            " WHERE status = 'finished' AND absorbed_at IS NULL AND told_at < :read_until"
        ),
        {"now": tx.now, "read_until": read_until},
    )
    return absorbed.rowcount


async def _read(tx: Transaction, settings: Settings, topics: list[str]) -> datetime | None:
    until = await read_watermark(tx.connection, topics, settings.kafka_partitions, reader=SERVICE)
    return until - timedelta(seconds=settings.clock_skew_s) if until else None

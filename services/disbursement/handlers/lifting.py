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


_UNDER_WAY = {
    "reevaluations": [bulk_topic_of("eligibility"), topic_of("eligibility")],
    "takeovers": [bulk_topic_of("intake"), bulk_topic_of("eligibility")],
}
"""Where what belongs to them is told. Of a takeover, schedules were told before intake called it finished: it had heard
of them itself."""


async def absorb_finished(tx: Transaction, settings: Settings) -> None:
    """Notes the re-evaluations and takeovers that are finished and of which everything has been read: every schedule,
    payee and month paid elsewhere."""
    for table, topics in _UNDER_WAY.items():
        read_until = await _read(tx, settings, topics)
        if read_until is not None:
            await tx.connection.execute(
                text(
                    f"UPDATE {table} SET absorbed_at = :now"  # noqa: S608 (a literal)
                    " WHERE status = 'finished' AND absorbed_at IS NULL AND told_at < :read_until"
                ),
                {"now": tx.now, "read_until": read_until},
            )


async def _read(tx: Transaction, settings: Settings, topics: list[str]) -> datetime | None:
    until = await read_watermark(tx.connection, topics, settings.kafka_partitions, reader=SERVICE)
    return until - timedelta(seconds=settings.clock_skew_s) if until else None

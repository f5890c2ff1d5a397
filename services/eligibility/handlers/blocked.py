"""Persons of whom an event could not be taken in: disbursement holds their payments until it is."""

from __future__ import annotations

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.eligibility import JudgementBlocked
from libs.common.events.envelope import Envelope


async def tell_blocked(tx: Transaction, envelope: Envelope) -> None:
    """Publishes whether events about the envelope's person still wait among the dead letters."""
    person_id = envelope.data.get("person_id")
    if not person_id:
        return
    await tx.lock(person_id)
    waiting = await tx.connection.execute(
        text(
            "SELECT EXISTS (SELECT FROM dead_letters WHERE resolved_at IS NULL AND event_id IS NOT NULL"
            " AND convert_from(body, 'UTF8')::jsonb #>> '{data,person_id}' = :person)"
        ),
        {"person": person_id},
    )
    tx.publish(
        JudgementBlocked(
            person_id=person_id,
            version=int(tx.now.timestamp() * 1_000_000),
            blocked=waiting.scalar_one(),
            because=envelope.type,
        )
    )

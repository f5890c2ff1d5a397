"""Who vouches for what a stop may rest on: who confirmed a finding, who pushed a fact. Of an objection against the stop
somebody else decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.projection import Received


async def note_confirmed(tx: Transaction, received: Sequence[Received]) -> None:
    await _note(
        tx,
        [
            {"id": item.data.finding_id, "person_id": item.data.person_id, "sub": item.data.verified_by}
            for item in received
            if item.data.verified_by is not None
        ],
    )


async def note_pushed(tx: Transaction, received: Sequence[Received]) -> None:
    await _note(
        tx,
        [{"id": item.data.fact_id, "person_id": item.data.person_id, "sub": item.data.pushed_by} for item in received],
    )


async def _note(tx: Transaction, told: Sequence[Mapping[str, object]]) -> None:
    """A finding is confirmed once, a fact pushed once."""
    if told:
        await tx.connection.execute(_NOTE, told)


_NOTE = text(
    "INSERT INTO vouchings (vouching_id, person_id, sub) VALUES (:id, goes_on_as(:person_id), :sub)"
    " ON CONFLICT DO NOTHING"
)

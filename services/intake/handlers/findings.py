"""Who confirmed a finding: of an objection against the stop that it brought, somebody else decides."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from libs.common.consumer import Received
from libs.common.database import Transaction


async def note_confirmed(tx: Transaction, received: Sequence[Received]) -> None:
    """A finding is confirmed once."""
    told = [
        item.data.model_dump(include={"finding_id", "person_id", "verified_by"})
        for item in received
        if item.data.verified_by is not None
    ]
    if told:
        await tx.connection.execute(_NOTE, told)


_NOTE = text(
    "INSERT INTO confirmed_findings (finding_id, person_id, verified_by) VALUES (:finding_id, :person_id, :verified_by)"
    " ON CONFLICT DO NOTHING"
)

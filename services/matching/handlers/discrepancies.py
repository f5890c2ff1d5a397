"""Discrepancies (数据疑点): what sources say that does not fit together. Notes with evidence; they stop nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import select, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, NotFound
from services.matching.comparison import DISCREPANCY_SCHEMA
from services.matching.tables import discrepancies

_AT_ONCE = 5000
_NOTE_DISCREPANCIES = (Path(__file__).parent / "note_discrepancies.sql").read_text("utf-8")


class ResolvedAlready(Conflict):
    """This discrepancy was resolved before."""

    type = "resolved-already"


async def note_discrepancies(
    tx: Transaction, found: pa.Table, *, comparison_id: UUID, noted_on: date
) -> tuple[int, list[str]]:
    """Keeps those that were not known: how many, and the ledger's entries of them. A mark of the same sources is known
    for good."""
    count, entries = 0, []
    for start in range(0, len(found), _AT_ONCE):
        columns = [column.to_pylist() for column in found.slice(start, _AT_ONCE).select(DISCREPANCY_SCHEMA.names)]
        ids = [new_id() for _ in columns[0]]
        for row in await tx.fetch(_NOTE_DISCREPANCIES, *columns, ids, comparison_id, noted_on):
            count += row["noted"]
            entries.append(row["entry"])
    return count, entries


async def resolve_discrepancy(tx: Transaction, discrepancy_id: UUID, note: str, principal: Principal) -> dict[str, Any]:
    """Somebody found out which source is right. NotFound outside one's area, ResolvedAlready the second time."""
    found = await tx.connection.execute(select(discrepancies).where(discrepancies.c.discrepancy_id == discrepancy_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such discrepancy")
    principal.require_sight(row["area"], "discrepancy")
    changes = {"status": "resolved", "note": note, "resolved_by": principal.sub, "resolved_at": tx.now}
    resolved = await tx.connection.execute(
        update(discrepancies)
        .where(discrepancies.c.discrepancy_id == discrepancy_id, discrepancies.c.status == "open")
        .values(**changes)
    )
    if resolved.rowcount == 0:
        raise ResolvedAlready(f"by {row['resolved_by']}")
    await record(tx, principal, "resolve discrepancy", str(discrepancy_id), person_id=row["person_id"], reason=note)
    return {**row, **changes}

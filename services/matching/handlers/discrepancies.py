"""Discrepancies (数据疑点): what sources say that does not fit together. Notes with evidence; they stop nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import select, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, NotFound
from services.matching.handlers.adding import add_new_rows
from services.matching.tables import discrepancies

_AT_ONCE = 5000


class ResolvedAlready(Conflict):
    """This discrepancy was resolved before."""

    type = "resolved-already"


async def note_discrepancies(
    tx: Transaction, found: pa.Table, *, comparison_id: UUID, noted_on: date
) -> list[dict[str, Any]]:
    """Keeps those that were not known, as the ledger tells them. A mark of the same sources is known for good."""
    entries: list[dict[str, Any]] = []
    for start in range(0, len(found), _AT_ONCE):
        values = [
            {
                "discrepancy_id": new_id(),
                "comparison_id": comparison_id,
                "noted_on": noted_on,
                **{name: row[name] for name in ("person_id", "kind", "area", "source", "other_source", "mark")},
                "evidence": [_said(row, ""), _said(row, "other_")],
            }
            for row in found.slice(start, _AT_ONCE).to_pylist()
        ]
        noted = await add_new_rows(tx, discrepancies, values)
        entries += [
            {
                "entry": "discrepancy",
                **{name: row[name] for name in ("discrepancy_id", "person_id", "kind", "area", "evidence")},
            }
            for row in values
            if row["discrepancy_id"] in noted
        ]
    return entries


def _said(row: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """What one of the two sources said."""
    names = ("source", "feed_id", "feed_row", "said_on", "person_id")
    return {name: str(row[prefix + name]) for name in names if row[prefix + name] is not None}


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

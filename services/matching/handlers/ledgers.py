"""The ledgers of comparisons, kept: appended to, never changed (notice 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from libs.common.database import Transaction
from services.matching.handlers.adding import add_rows
from services.matching.ledger import GENESIS, Entry, chain, line
from services.matching.tables import ledger_entries


async def extend_ledger(tx: Transaction, comparison_id: UUID, bodies: Iterable[Mapping[str, Any] | str]) -> str:
    """Appends entries; the last one's hash."""
    await tx.lock(f"ledger:{comparison_id}")
    last = (
        await tx.connection.execute(
            select(ledger_entries)
            .where(ledger_entries.c.comparison_id == comparison_id)
            .order_by(ledger_entries.c.seq.desc())
            .limit(1)
        )
    ).one_or_none()
    entries = chain(bodies, after=Entry(last.seq, last.body, last.hash) if last else None)
    written = [
        {"comparison_id": comparison_id, "seq": entry.seq, "body": entry.body, "hash": entry.hash} for entry in entries
    ]
    await add_rows(tx, ledger_entries, written)
    return entries[-1].hash


async def read_entries(tx: Transaction, comparison_id: UUID) -> list[Entry]:
    """All entries, from the first on."""
    rows = await tx.connection.execute(
        select(ledger_entries).where(ledger_entries.c.comparison_id == comparison_id).order_by(ledger_entries.c.seq)
    )
    return [Entry(row.seq, row.body, row.hash) for row in rows]


async def export_ledger(tx: Transaction, comparison_id: UUID) -> str:
    """The ledger as NDJSON, from the first entry on."""
    previous, lines = GENESIS, []
    for entry in await read_entries(tx, comparison_id):
        lines.append(line(entry, previous))
        previous = entry.hash
    return "".join(lines)

"""What must hold in production, not only in tests: each a statement with the SQL that finds what breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import text

from libs.common.database import Transaction, rows
from libs.common.telemetry import INVARIANT_BROKEN

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Invariant:
    """A statement that must hold in production. `sql` returns the rows that break it, none when it holds."""

    name: str
    says: str
    sql: str


async def broken_by(tx: Transaction, invariant: Invariant) -> Sequence[dict[str, Any]]:
    """Up to ten rows that break it, none when it holds."""
    query = f"SELECT * FROM ({invariant.sql}) AS broken LIMIT 10"  # noqa: S608 (the service's own SQL)
    return rows(await tx.connection.execute(text(query)))


async def raise_broken(tx: Transaction, invariants: Sequence[Invariant]) -> int:
    """Checks them all and raises the alarm (a metric, a line in the log) for each that does not hold; how many."""
    broken = 0
    for invariant in invariants:
        found = await broken_by(tx, invariant)
        INVARIANT_BROKEN.labels(tx.service, invariant.name).set(len(found))
        if found:
            broken += 1
            log.error("invariant_broken", invariant=invariant.name, rows=len(found))
    return broken

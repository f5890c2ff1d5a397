"""The lock on submission, while the books are not known to agree with the bank's (`restoring.py`)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from services.disbursement.errors import SubmissionLocked


async def lock_submission(tx: Transaction, *, because: str, by: str) -> UUID:
    """Nothing is submitted or sent until the books agree with the bank's again. One lock at a time."""
    lock_id: UUID = (
        await tx.connection.execute(
            text(
                "INSERT INTO restore_locks (because, locked_by, locked_at) VALUES (:because, :by, :now)"
                " ON CONFLICT ((true)) WHERE released_at IS NULL DO UPDATE SET because = restore_locks.because"
                " RETURNING lock_id"
            ),
            {"because": because, "by": by, "now": tx.now},
        )
    ).scalar_one()
    return lock_id


async def is_locked(tx: Transaction) -> bool:
    found: bool = (
        await tx.connection.execute(text("SELECT EXISTS (SELECT FROM restore_locks WHERE released_at IS NULL)"))
    ).scalar_one()
    return found


async def require_unlocked(tx: Transaction) -> None:
    """`SubmissionLocked` while the books are not known to agree with the bank's."""
    if await is_locked(tx):
        raise SubmissionLocked

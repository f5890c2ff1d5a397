"""The lock on submission, while the books are not known to agree with the bank's (`restoring.py`)."""

from __future__ import annotations

from datetime import datetime
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


async def server_without_lock(tx: Transaction) -> datetime | None:
    """The start of the database server that we talk to: another one may be another database. None while locked."""
    started_at: datetime | None = (
        await tx.connection.execute(
            text(
                "SELECT pg_postmaster_start_time()"
                " WHERE NOT EXISTS (SELECT FROM restore_locks WHERE released_at IS NULL)"
            )
        )
    ).scalar_one_or_none()
    return started_at


async def require_unlocked(tx: Transaction) -> None:
    """`SubmissionLocked` while the books are not known to agree with the bank's."""
    if await is_locked(tx):
        raise SubmissionLocked

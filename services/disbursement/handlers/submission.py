"""Submission: a cycle goes out once everything that was known when it was asked for has arrived here.

Until then it waits; what was held or reduced meanwhile is dropped, nothing is added, the funds are checked once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.settings import Settings
from services.disbursement import ledger
from services.disbursement.errors import FundsShort
from services.disbursement.handlers.books import book, require_funds
from services.disbursement.handlers.cases import open_case
from services.disbursement.handlers.cycles import load_cycle
from services.disbursement.handlers.lifting import known_until, lift_answered_holds
from services.disbursement.handlers.locks import is_locked
from services.disbursement.ledger import Book
from services.disbursement.queries import query


async def cycles_waiting(tx: Transaction) -> list[UUID]:
    """Approved cycles whose submission was asked for."""
    found = await tx.connection.execute(
        text("SELECT cycle_id FROM cycles WHERE status = 'approved' AND requested_at IS NOT NULL ORDER BY requested_at")
    )
    return list(found.scalars())


async def submit_if_known(tx: Transaction, settings: Settings, cycle_id: UUID, *, on: date) -> bool:
    """Submits the cycle if the watermark has passed the moment it was asked for; refuses it, with an alarm, if that
    takes too long or the funds do not cover it any more. False: it goes on waiting."""
    cycle = await load_cycle(tx, cycle_id, lock=True)
    if cycle["status"] != "approved" or cycle["requested_at"] is None:
        return True
    if await is_locked(tx):
        return False
    until = await known_until(tx, settings)
    if until is None or until <= cycle["requested_at"]:
        if (tx.now - cycle["requested_at"]).total_seconds() < settings.submission_timeout_s:
            return False
        await _refuse(tx, cycle, "what the other services knew has not arrived; nothing was sent")
        return True
    await lift_answered_holds(tx, settings)
    await drop_stopped(tx, cycle_id)
    try:
        needs = await require_funds(tx, cycle_id, budget_year=cycle["period"].year)
    except FundsShort as error:
        await _refuse(tx, cycle, error.detail)
        return True
    await book(tx, [ledger.commit(need.book, str(cycle_id), need.needed_fen, on=on) for need in needs])
    await tx.connection.execute(
        text("UPDATE cycles SET status = 'submitted', submitted_at = :now WHERE cycle_id = :id"),
        {"id": cycle_id, "now": tx.now},
    )
    return True


async def drop_stopped(
    tx: Transaction, cycle_id: UUID, among: Mapping[UUID, date] | None = None
) -> list[tuple[Book | None, int]]:
    """Drops what must not be sent (any more) from the cycle, or from some of its payments, of which the months are
    given: the fen, per book."""
    months = await _months_of(tx, cycle_id) if among is None else sorted(among.values())
    if not months:
        return []
    dropped = await tx.connection.execute(
        query("drop_stopped"),
        {
            "cycle_id": cycle_id,
            "payment_ids": None if among is None else list(among),
            "since": months[0],
            "upto": months[-1],
        },
    )
    return [
        (Book(row.book_area, row.subsidy, row.book_year) if row.book_area else None, row.amount_fen) for row in dropped
    ]


async def _months_of(tx: Transaction, cycle_id: UUID) -> list[date]:
    """The first and the last month of which there is something to drop; none if there is nothing."""
    found = await tx.connection.execute(
        text("SELECT min(period), max(period) FROM payments WHERE cycle_id = :id AND status = 'pending'"),
        {"id": cycle_id},
    )
    return [month for month in found.one() if month]


async def _refuse(tx: Transaction, cycle: dict[str, Any], because: str) -> None:
    await tx.connection.execute(
        text(
            "UPDATE cycles SET requested_at = NULL, requested_by = NULL, refused_because = :because"
            " WHERE cycle_id = :id"
        ),
        {"id": cycle["cycle_id"], "because": because},
    )
    await open_case(
        tx,
        "submission_refused",
        str(cycle["cycle_id"]),
        area=cycle["area"],
        period=cycle["period"],
        because=because,
        asked_at=cycle["requested_at"],
    )

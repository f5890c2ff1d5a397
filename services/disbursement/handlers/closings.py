"""Closing a month of the books (结账): reconciled clean, its balances are struck, and nothing is booked into it
again."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date
from typing import Any

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Transaction, rows
from libs.common.period import Period
from services.disbursement.errors import CyclesUnderWay, MonthClosed, MonthNotOver, NotReconciled
from services.disbursement.handlers.certificates import certify, digest_of
from services.disbursement.handlers.reconciliation import reconcile


async def close_month(tx: Transaction, principal: Principal, area: str, period: Period, *, on: date) -> dict[str, Any]:
    """Closes a month for the books of an area and below. `MonthNotOver`, `MonthClosed`, `CyclesUnderWay`,
    `NotReconciled`."""
    if on <= period.last_day:
        raise MonthNotOver
    # Whoever is booking ends first, and whoever books next sees the month closed.
    await tx.connection.execute(text("LOCK TABLE postings IN SHARE ROW EXCLUSIVE MODE"))
    await _require_open(tx, area, period)
    await _require_ended_cycles(tx, area, period)
    differences = await reconcile(tx, area, period)
    if differences:
        raise NotReconciled(f"{len(differences)} differences are not resolved")
    reconciliation = await certify(tx, area, period, {}, run_by=principal.sub)
    balances = await balances_at(tx, area, period)
    closing = {
        "area": area,
        "period": period,
        "reconciliation_id": reconciliation["reconciliation_id"],
        "balances": balances,
        "digest": digest_of({"reconciliation": reconciliation["digest"], "balances": balances}),
        "closed_by": principal.sub,
        "closed_at": tx.now,
    }
    await tx.connection.execute(
        text(
            "INSERT INTO period_closings (area, period, reconciliation_id, balances, digest, closed_by, closed_at)"
            " VALUES (:area, :first_day, :reconciliation_id, CAST(:told AS jsonb), :digest, :closed_by, :closed_at)"
        ),
        closing | {"first_day": period.first_day, "told": json.dumps(balances)},
    )
    await audit.record(tx, principal, "close month", area, period=str(period), digest=closing["digest"])
    return closing


async def balances_at(tx: Transaction, area: str, period: Period) -> list[dict[str, Any]]:
    """What each account of each book of an area held at the end of a month, in fen."""
    found = await tx.connection.execute(
        text(
            "SELECT book_area, subsidy, book_year, account, sum(fen)::bigint AS fen FROM ("
            " SELECT book_area, subsidy, book_year, debit AS account, amount_fen AS fen, booked_on FROM postings"
            " UNION ALL SELECT book_area, subsidy, book_year, credit, -amount_fen, booked_on FROM postings) AS sides"
            " WHERE book_area LIKE :area || '%' AND booked_on <= :last_day"
            " GROUP BY book_area, subsidy, book_year, account ORDER BY book_area, subsidy, book_year, account"
        ),
        {"area": area, "last_day": period.last_day},
    )
    books: dict[tuple[str, str, int], dict[str, int]] = defaultdict(dict)
    for row in found:
        books[row.book_area, row.subsidy, row.book_year][row.account] = abs(row.fen)
    return [
        {"area": book_area, "subsidy": subsidy, "year": year, "accounts": accounts}
        for (book_area, subsidy, year), accounts in books.items()
    ]


async def _require_open(tx: Transaction, area: str, period: Period) -> None:
    closed: bool = (
        await tx.connection.execute(
            text("SELECT first_open_day(:area) > :first_day"), {"area": area, "first_day": period.first_day}
        )
    ).scalar_one()
    if closed:
        raise MonthClosed


async def _require_ended_cycles(tx: Transaction, area: str, period: Period) -> None:
    under_way = rows(
        await tx.connection.execute(
            text(
                "SELECT cycle_id FROM cycles WHERE (area LIKE :area || '%' OR starts_with(:area, area))"
                " AND period <= :period AND submitted_at IS NOT NULL AND status <> 'closed' ORDER BY cycle_id"
            ),
            {"area": area, "period": period.first_day},
        )
    )
    if under_way:
        raise CyclesUnderWay(f"{len(under_way)} of them", cycle_ids=[str(row["cycle_id"]) for row in under_way])

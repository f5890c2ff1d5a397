"""What a person is shown of: the account of each month, the payments, the story (read only)."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.auth import Principal
from libs.common.database import Transaction, rows
from libs.common.errors import NotFound
from libs.common.money import yuan_text
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy
from services.disbursement.balance import account_for
from services.disbursement.queries import EVER, query
from services.disbursement.words import cause_text, code_text, told_of


async def require_person(tx: Transaction, principal: Principal, person_id: str) -> None:
    """NotFound unless disbursement knows the person, in the principal's area."""
    areas = (
        await tx.connection.execute(
            text(
                "SELECT area FROM entitlements WHERE person_id = :id"
                " UNION SELECT area FROM payees WHERE person_id = :id"
                " UNION SELECT area FROM payments WHERE person_id = :id"
            ),
            {"id": person_id},
        )
    ).scalars()
    if not any(principal.covers(area) for area in areas):
        raise NotFound("no such person")


async def read_account(tx: Transaction, person_id: str, *, through: Period) -> list[dict[str, Any]]:
    """Where each fen of each month is, oldest first, up to `through` or the last month paid if that is later."""
    last_paid: date | None = (
        await tx.connection.execute(text("SELECT max(period) FROM payments WHERE person_id = :id"), {"id": person_id})
    ).scalar_one()
    upto = max(through.first_day, last_paid) if last_paid else through.first_day
    found = await tx.connection.execute(query("account"), {"person_id": person_id, "since": EVER, "upto": upto})
    return [_month(row) for row in found.mappings()]


def _month(row: Any) -> dict[str, Any]:
    account = account_for(
        entitled_fen=row["entitled_fen"],
        paid_fen=row["paid_fen"],
        sent_fen=row["sent_fen"],
        pending_fen=row["pending_fen"],
        held=row["hold_kind"] is not None,
        payable=row["obstacle"] is None,
    )
    return {
        "subsidy": row["subsidy"],
        "period": Period.of(row["period"]),
        "entitled_fen": account.entitled_fen,
        "paid_fen": account.paid_fen,
        "offset_fen": row["offset_fen"],
        "in_flight_fen": account.in_flight_fen,
        "held_fen": account.held_fen,
        "owed_fen": account.owed_fen,
        "due_fen": account.due_fen,
        "unpayable_fen": account.unpayable_fen,
        "overpaid_fen": account.overpaid_fen,
        "payee_ready": row["obstacle"] is None,
        "obstacle": row["obstacle"],
        "held_by": row["hold_kind"],
        "says": cause_text(row["hold_kind"] or row["obstacle"]) if account.held_fen or account.owed_fen else "",
    }


async def read_causes(tx: Transaction, person_id: str, subsidy: Subsidy, period: Period) -> list[dict[str, Any]]:
    """Why a month of a person is what it is, oldest first, in words that a complaint can be answered with."""
    found = await tx.connection.execute(
        query("causes"), {"person_id": person_id, "subsidy": subsidy, "period": period.first_day}
    )
    return [row | told_of(row) for row in rows(found)]


async def read_ledger(tx: Transaction, person_id: str) -> dict[str, list[dict[str, Any]]]:
    """The person's accounts in each book, and what was booked of the person, newest first."""
    balances = await tx.connection.execute(
        text(
            "SELECT book_area AS area, subsidy, book_year AS year,"
            " jsonb_object_agg(account || '_fen', balance_fen) AS balances FROM personal_balances"
            " WHERE person_id = :id GROUP BY book_area, subsidy, book_year ORDER BY book_year DESC, book_area, subsidy"
        ).columns(balances=JSONB),
        {"id": person_id},
    )
    postings = await tx.connection.execute(
        text(
            "SELECT booked_on, cause, cause_id, told_by, org_code, book_area AS area, subsidy, book_year AS year,"
            " debit, credit, amount_fen FROM personal_postings WHERE person_id = :id ORDER BY posting_id DESC"
        ),
        {"id": person_id},
    )
    return {"balances": list(rows(balances)), "postings": list(rows(postings))}


async def read_timeline(tx: Transaction, person_id: str) -> list[dict[str, Any]]:
    """What disbursement did about a person, newest first, in words (`what`, `detail`) and as data."""
    found = await tx.connection.execute(query("timeline"), {"person_id": person_id})
    return [
        {"at": row["at"], "what": row["what"], "detail": _told(row), "data": _data(row)} for row in found.mappings()
    ]


def _told(row: Any) -> str:
    """One line of the story: subsidy, month, yuan, state."""
    parts = (
        SUBSIDY_NAMES[row["subsidy"]] if row["subsidy"] else None,
        str(Period.of(row["period"])) if row["period"] else None,
        f"{yuan_text(row['amount_fen'])} 元" if row["amount_fen"] is not None else None,
        cause_text(code_text(row["state"])[0]),
    )
    return " ".join(part for part in parts if part)


def _data(row: Any) -> dict[str, Any]:
    return {
        "subsidy": row["subsidy"],
        "period": str(Period.of(row["period"])) if row["period"] else None,
        "amount_fen": row["amount_fen"],
        "state": row["state"],
        "reference": row["reference"],
    }

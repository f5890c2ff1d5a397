"""Booking into the ledger, and what is available to be committed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Transaction
from services.disbursement import ledger
from services.disbursement.errors import DocumentBookedOtherwise, FundsShort
from services.disbursement.ledger import Book, Entry
from services.disbursement.queries import query


async def book(tx: Transaction, entries: Iterable[Entry]) -> None:
    """Appends entries; what happened in a closed month is booked in the open one. The database refuses a cause that is
    booked already: whoever books has asked before."""
    lines = [(entry, posting) for entry in entries for posting in entry.postings]
    if not lines:
        return
    await tx.connection.execute(
        text(
            "INSERT INTO postings (cause, cause_id, told_by, person_id, org_code, book_area, subsidy, book_year, debit,"
            " credit, amount_fen, booked_on) SELECT cause, cause_id, told_by, person_id, org_code, area, subsidy, year,"
            " debit, credit, amount_fen, greatest(happened_on, first_open_day(area)) FROM unnest("
            "CAST(:cause AS text[]), CAST(:cause_id AS text[]), CAST(:told_by AS text[]), CAST(:person_id AS text[]),"
            " CAST(:org_code AS text[]), CAST(:area AS text[]), CAST(:subsidy AS text[]), CAST(:year AS int[]),"
            " CAST(:debit AS text[]), CAST(:credit AS text[]), CAST(:amount AS bigint[]), CAST(:happened_on AS date[]))"
            " AS entry (cause, cause_id, told_by, person_id, org_code, area, subsidy, year, debit, credit, amount_fen,"
            " happened_on)"
        ),
        {
            "cause": [entry.cause for entry, _ in lines],
            "cause_id": [entry.cause_id for entry, _ in lines],
            "told_by": [entry.told_by for entry, _ in lines],
            "person_id": [entry.person_id for entry, _ in lines],
            "org_code": [entry.org_code for entry, _ in lines],
            "area": [entry.book.area for entry, _ in lines],
            "subsidy": [entry.book.subsidy for entry, _ in lines],
            "year": [entry.book.year for entry, _ in lines],
            "debit": [posting.debit for _, posting in lines],
            "credit": [posting.credit for _, posting in lines],
            "amount": [posting.amount_fen for _, posting in lines],
            "happened_on": [entry.on for entry, _ in lines],
        },
    )


async def appropriate(
    tx: Transaction,
    principal: Principal,
    budget: Book,
    *,
    amount_fen: int,
    document_no: str,
    on: date,
    granted_by: str = "county",
) -> UUID:
    """Records an appropriation (下达) of a level of government. The same document again is the same appropriation;
    `DocumentBookedOtherwise`."""
    await tx.lock(_key(budget))
    known = (
        await tx.connection.execute(
            text(
                "SELECT appropriation_id, amount_fen FROM appropriations WHERE area = :area AND subsidy = :subsidy"
                " AND year = :year AND document_no = :document_no"
            ),
            {"area": budget.area, "subsidy": budget.subsidy, "year": budget.year, "document_no": document_no},
        )
    ).one_or_none()
    if known is not None:
        if known.amount_fen != amount_fen:
            raise DocumentBookedOtherwise(f"{document_no} was booked with {known.amount_fen} fen")
        return UUID(str(known.appropriation_id))
    appropriation_id: UUID = (
        await tx.connection.execute(
            text(
                "INSERT INTO appropriations (area, subsidy, year, amount_fen, granted_by, document_no, recorded_by)"
                " VALUES (:area, :subsidy, :year, :amount_fen, :granted_by, :document_no, :sub)"
                " RETURNING appropriation_id"
            ),
            {
                "area": budget.area,
                "subsidy": budget.subsidy,
                "year": budget.year,
                "amount_fen": amount_fen,
                "granted_by": granted_by,
                "document_no": document_no,
                "sub": principal.sub,
            },
        )
    ).scalar_one()
    await book(tx, [ledger.appropriate(budget, document_no, amount_fen, on=on)])
    await audit.record(tx, principal, "record appropriation", str(appropriation_id), amount_fen=amount_fen)
    return appropriation_id


@dataclass(frozen=True, slots=True)
class Need:
    """What a cycle needs of one book, and what that book has available, in fen."""

    book: Book
    needed_fen: int
    available_fen: int

    @property
    def short_fen(self) -> int:
        return max(0, self.needed_fen - self.available_fen)


async def require_funds(tx: Transaction, cycle_id: UUID, *, budget_year: int) -> list[Need]:
    """Assigns each payment not sent yet to its book and locks the books; `FundsShort` says what is missing where."""
    await tx.connection.execute(query("assign_books"), {"cycle_id": cycle_id, "year": budget_year})
    books = [
        (Book(row.book_area, row.subsidy, row.book_year), row.needed_fen)
        for row in await tx.connection.execute(
            text(
                "SELECT book_area, subsidy, book_year, sum(amount_fen)::bigint AS needed_fen FROM payments"
                " WHERE cycle_id = :cycle_id AND status = 'pending' GROUP BY book_area, subsidy, book_year"
                " ORDER BY book_area, subsidy"
            ),
            {"cycle_id": cycle_id},
        )
    ]
    await tx.lock(*(_key(found) for found, _ in books))
    needs = [Need(found, needed_fen, await available_fen(tx, found)) for found, needed_fen in books]
    short = [need for need in needs if need.short_fen]
    if short:
        raise FundsShort(
            "; ".join(f"{n.book.area} {n.book.subsidy} {n.book.year}: {n.short_fen} fen short" for n in short),
            shortfalls=[
                {"area": n.book.area, "subsidy": n.book.subsidy, "year": n.book.year, "short_fen": n.short_fen}
                for n in short
            ],
        )
    return needs


async def available_fen(tx: Transaction, budget: Book) -> int:
    """What of a book's appropriation is not committed."""
    balance: int | None = (
        await tx.connection.execute(
            text(
                "SELECT balance_fen FROM balances WHERE book_area = :area AND subsidy = :subsidy"
                " AND book_year = :year AND account = 'available'"
            ),
            {"area": budget.area, "subsidy": budget.subsidy, "year": budget.year},
        )
    ).scalar_one_or_none()
    return balance or 0


def _key(budget: Book) -> str:
    return f"book:{budget.area}/{budget.subsidy}/{budget.year}"

"""Institutions that have children's money (机构代管; notice 4.6): an account of the ledger per institution and child,
in the book that paid. The register of uses says what each was for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import Conflict, NotFound
from services.disbursement import ledger
from services.disbursement.errors import MoreThanUnspent
from services.disbursement.handlers.books import book
from services.disbursement.ledger import Book
from services.disbursement.queries import query


async def record_child(
    tx: Transaction, principal: Principal, org_code: str, person_id: str, *, since: date, until: date | None
) -> None:
    """The institution is the child's guardian from a day on; what was paid to it since is the child's. NotFound,
    Conflict if another one is guardian by then."""
    area: str | None = (
        await tx.connection.execute(text("SELECT area FROM payees WHERE person_id = :id"), {"id": person_id})
    ).scalar_one_or_none()
    if area is None or not principal.covers(area):
        raise NotFound("no such person")
    await tx.lock(person_id)
    new = await tx.connection.execute(
        text(
            "INSERT INTO institution_children (person_id, org_code, area, days, recorded_by)"
            " SELECT :person_id, :org, :area, d.days, :sub FROM (SELECT daterange(:since, :until, '[]') AS days) AS d"
            " WHERE NOT EXISTS (SELECT FROM institution_children WHERE person_id = :person_id AND days && d.days)"
            " RETURNING true"
        ),
        {
            "person_id": person_id,
            "org": org_code,
            "area": area,
            "since": since,
            "until": until,
            "sub": principal.sub,
        },
    )
    if new.scalar_one_or_none() is None:
        raise Conflict("an institution is recorded for these days already")
    await entrust(tx, {person_id})
    await audit.record(tx, principal, "record institution", org_code, person_id=person_id)


async def record_use(tx: Transaction, principal: Principal, org_code: str, told: dict[str, Any]) -> dict[str, Any]:
    """A use of a child's money (`person_id`, `category`, `amount_fen`, `used_on`, `receipt_no`, `note`), booked against
    the budgets that the money came from, the oldest first; the child's funds after it. NotFound, `MoreThanUnspent`,
    Conflict for a receipt that is known."""
    person_id = told["person_id"]
    await tx.lock(person_id)
    child = await _child(tx, org_code, person_id, principal.area)
    if told["amount_fen"] > child["unspent_fen"]:
        raise MoreThanUnspent(f"{child['unspent_fen']} fen are unspent")
    use_id = new_id()
    new = await tx.connection.execute(
        text(
            "INSERT INTO institution_uses (use_id, org_code, person_id, category, amount_fen, used_on, receipt_no,"
            " note, recorded_by) VALUES (:use_id, :org, :person_id, :category, :amount_fen, :used_on, :receipt_no,"
            " :note, :sub) ON CONFLICT DO NOTHING RETURNING true"
        ),
        told | {"use_id": use_id, "org": org_code, "sub": principal.sub},
    )
    if new.scalar_one_or_none() is None:
        raise Conflict(f"receipt {told['receipt_no']} was recorded already")
    entry = ledger.give_back if told["category"] == "returned" else ledger.use
    shares = await _shares(tx, org_code, person_id, told["amount_fen"])
    await book(
        tx,
        [
            entry(budget, str(use_id), fen, person_id=person_id, org_code=org_code, on=told["used_on"])
            for budget, fen in shares
        ],
    )
    await audit.record(
        tx,
        principal,
        "record institution's use",
        org_code,
        person_id=person_id,
        category=told["category"],
        amount_fen=told["amount_fen"],
    )
    return await _child(tx, org_code, person_id, principal.area)


async def entrust(tx: Transaction, person_ids: Collection[str]) -> None:
    """Books what was paid to institutions for these persons as the children's, wherever that is not done yet."""
    if not person_ids:
        return
    found = await tx.connection.execute(
        text("SELECT * FROM to_entrust WHERE person_id = ANY(CAST(:ids AS text[])) ORDER BY payment_id"),
        {"ids": list(person_ids)},
    )
    await book(
        tx,
        [
            ledger.entrust(
                Book(row.book_area, row.subsidy, row.book_year),
                str(row.payment_id),
                row.amount_fen,
                person_id=row.person_id,
                org_code=row.org_code,
                on=row.settled_on,
            )
            for row in found
        ],
    )


async def reverse_entrusting(tx: Transaction, returned: Iterable[tuple[UUID, date]]) -> None:
    """The bank returned these payments on these days: what of them was entrusted is no institution's any more."""
    days = {str(payment_id): on for payment_id, on in returned}
    if not days:
        return
    entrusted = await tx.connection.execute(
        text(
            "SELECT * FROM postings WHERE cause = 'entrusting' AND cause_id = ANY(CAST(:ids AS text[]))"
            " ORDER BY cause_id"
        ),
        {"ids": list(days)},
    )
    await book(
        tx,
        [
            ledger.reverse_entrusting(
                Book(row.book_area, row.subsidy, row.book_year),
                row.cause_id,
                row.amount_fen,
                person_id=row.person_id,
                org_code=row.org_code,
                on=days[row.cause_id],
            )
            for row in entrusted
        ],
    )


async def _shares(tx: Transaction, org_code: str, person_id: str, amount_fen: int) -> list[tuple[Book, int]]:
    """An amount over the books that a child's unspent money came from, the oldest first."""
    held = await tx.connection.execute(
        text(
            "SELECT book_area, subsidy, book_year,"
            " sum(CASE debit WHEN 'institution_funds' THEN amount_fen ELSE -amount_fen END)::bigint AS fen"
            " FROM personal_postings WHERE org_code = :org AND person_id = :person_id"
            " GROUP BY book_area, subsidy, book_year ORDER BY book_year, subsidy DESC, book_area"
        ),
        {"org": org_code, "person_id": person_id},
    )
    shares = []
    for row in held:
        share_fen = min(amount_fen, row.fen)
        if share_fen > 0:
            shares.append((Book(row.book_area, row.subsidy, row.book_year), share_fen))
            amount_fen -= share_fen
    return shares


async def _child(tx: Transaction, org_code: str, person_id: str, area: str) -> dict[str, Any]:
    found = await tx.connection.execute(query("institution_funds"), {"org": org_code, "area": area, "on": None})
    for row in rows(found):
        if row["person_id"] == person_id:
            return row
    raise NotFound("no such child of this institution")

"""What papers are made of: rows of the books, with names opened for whoever may read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, text

from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.identity import CertificateNumber, mask_name
from libs.common.period import Period
from libs.common.privacy import Sealer
from services.disbursement.bank import Batch
from services.disbursement.queries import query
from services.disbursement.tables import cases

Row = dict[str, Any]


class Names:
    """Opens the names that rows hold sealed; masked, it shows their first character."""

    def __init__(self, sealer: Sealer, *, masked: bool = False) -> None:
        self._sealer = sealer
        self._masked = masked
        self._show: Callable[[str], str] = mask_name if masked else str

    def opened(self, found: Any) -> list[Row]:
        """The rows with `name` and `holder_name` to be read."""
        return [
            row
            | {
                "name": self._open(row["person_name"], row["person_id"], "person_name"),
                "holder_name": self._open(row["holder_name"], row["person_id"], "holder_name"),
            }
            for row in rows(found)
        ]

    def with_certificates(self, found: list[Row]) -> list[Row]:
        """The rows with `certificate_number` to be read, of the certificate that their months rest on; masked, whoever
        may not read names reads none."""
        for row in found:
            sealed = None if self._masked else row["certificate_number"]
            row["certificate_number"] = (
                _in_force(self._sealer.open(sealed, "payees", row["person_id"], "certificate_number"), row)
                if sealed
                else ""
            )
        return found

    def _open(self, sealed: str | None, person_id: str, column: str) -> str:
        return self._show(self._sealer.open(sealed, "payees", person_id, column)) if sealed else ""


def _in_force(number: str, row: Row) -> str:
    """The certificate's number while it said the category and level of these months: a reassessment changes the digits
    for both, and the payee names the newest."""
    newest = CertificateNumber.parse(number, on=business_today())
    if row["category"] is None or (newest.category, newest.level) == (row["category"], row["level"]):
        return number
    return replace(newest, category=row["category"], level=row["level"], reissue=0).number


async def roster_items(tx: Transaction, names: Names, cycle_id: UUID) -> list[Row]:
    """Everybody that the cycle pays or does not pay, by subsidy, person and month."""
    found = await tx.connection.execute(
        text(
            "SELECT i.*, y.person_name, t.holder_name, t.number_last4 FROM ("
            " SELECT person_id, subsidy, period, amount_fen, level, status AS state, code AS reason FROM payments"
            " WHERE cycle_id = :id UNION ALL"
            " SELECT person_id, subsidy, period, amount_fen, NULL, outcome, reason FROM cycle_exceptions"
            " WHERE cycle_id = :id) AS i LEFT JOIN payees y USING (person_id) LEFT JOIN payable_to t USING (person_id)"
            " ORDER BY i.subsidy DESC, i.person_id, i.period"
        ),
        {"id": cycle_id},
    )
    return names.opened(found)


async def attempts(tx: Transaction, names: Names, cycle_id: UUID, which: Literal["returns", "reissues"]) -> list[Row]:
    """Payments of the cycle that came back (`returns`), or that pay again what came back (`reissues`): arrears of
    a month that was paid are neither."""
    found = await tx.connection.execute(
        text(
            "SELECT p.*, y.person_name, t.holder_name, t.number_last4, before.code AS before_code"
            " FROM payments p LEFT JOIN payees y USING (person_id) LEFT JOIN payable_to t USING (person_id)"
            " LEFT JOIN LATERAL (SELECT b.code, b.status FROM payments b"
            " WHERE b.person_id = p.person_id AND b.subsidy = p.subsidy AND b.period = p.period"
            " AND b.attempt < p.attempt ORDER BY b.attempt DESC LIMIT 1) AS before ON true"
            " WHERE p.cycle_id = :id AND CASE CAST(:which AS text) WHEN 'reissues' THEN before.status ELSE p.status END"
            " IN ('failed', 'returned') ORDER BY p.person_id, p.subsidy, p.period"
        ),
        {"id": cycle_id, "which": which},
    )
    return names.opened(found)


async def funds_needed(tx: Transaction, cycle: Row) -> list[Row]:
    """What the cycle needs of each book, and what is there."""
    scope = {"cycle_id": cycle["cycle_id"], "period": cycle["period"].first_day, "year": cycle["period"].year}
    found = await tx.connection.execute(
        query("funds_needed"), scope | {"is_committed": cycle["submitted_at"] is not None}
    )
    return list(rows(found))


async def grants(tx: Transaction, area: str, year: int | None) -> list[Row]:
    """What each level of government granted to books at, above or below an area."""
    found = await tx.connection.execute(
        text(
            "SELECT area, subsidy, year, granted_by, sum(amount_fen)::bigint AS fen FROM appropriations"
            " WHERE (starts_with(area, :area) OR starts_with(:area, area))"
            " AND (CAST(:year AS int) IS NULL OR year = :year) GROUP BY area, subsidy, year, granted_by"
            " ORDER BY area, subsidy, year, array_position("
            "ARRAY['central', 'province', 'prefecture', 'county'], granted_by)"
        ),
        {"area": area, "year": year},
    )
    return list(rows(found))


async def sums_by_outcome(tx: Transaction, cycle_id: UUID) -> list[Row]:
    found = await tx.connection.execute(
        text(
            "SELECT subsidy, outcome, count(DISTINCT person_id) AS persons, count(*) AS months,"
            " sum(amount_fen)::bigint AS fen FROM (SELECT subsidy, 'payable' AS outcome, person_id, amount_fen"
            " FROM payments WHERE cycle_id = :id UNION ALL SELECT subsidy, outcome, person_id, amount_fen"
            " FROM cycle_exceptions WHERE cycle_id = :id) AS items GROUP BY subsidy, outcome"
            " ORDER BY subsidy DESC, array_position(ARRAY['payable', 'held', 'unpayable', 'dropped'], outcome)"
        ),
        {"id": cycle_id},
    )
    return list(rows(found))


async def batches(tx: Transaction, cycle_id: UUID) -> list[Row]:
    """What was handed to the bank, by batch and book, and what became of it."""
    found = await tx.connection.execute(
        text(
            "SELECT b.batch_id, p.subsidy, p.book_area, p.book_year, count(*) AS payments,"
            " sum(p.amount_fen - p.offset_fen)::bigint AS fen,"
            " coalesce(sum(p.amount_fen - p.offset_fen) FILTER (WHERE p.status = 'settled'), 0)::bigint AS settled_fen,"
            " coalesce(sum(p.amount_fen - p.offset_fen) FILTER (WHERE p.status IN ('failed', 'returned')), 0)::bigint"
            " AS back_fen, b.accepted_at FROM batches b JOIN payments p USING (batch_id) WHERE b.cycle_id = :id"
            " GROUP BY b.batch_id, p.subsidy, p.book_area, p.book_year ORDER BY b.batch_id"
        ),
        {"id": cycle_id},
    )
    return list(rows(found))


async def transfers(tx: Transaction, sealer: Sealer, cycle_id: UUID) -> list[Row]:
    """What was prepared for the bank, line by line, as it was prepared."""
    found = await tx.connection.execute(
        text("SELECT batch_id, request FROM batches WHERE cycle_id = :id AND request IS NOT NULL ORDER BY batch_id"),
        {"id": cycle_id},
    )
    prepared = [
        Batch.model_validate_json(sealer.open(row.request, "batches", row.batch_id, "request")) for row in found
    ]
    return [
        item.model_dump() | {"project": batch.project, "department": batch.department}
        for batch in prepared
        for item in batch.items
    ]


async def persons(tx: Transaction, names: Names, area: str, period: Period) -> list[Row]:
    """Who is or was entitled in the year of a period, up to it."""
    first = Period(period.year, 1).first_day
    scope = {"area": area, "first": first, "upto": period.first_day}
    return names.with_certificates(names.opened(await tx.connection.execute(query("ledger_of_persons"), scope)))


async def books(tx: Transaction, area: str, *, year: int | None, upto: Any) -> list[Row]:
    """Each book with its balances at the end of a day."""
    return list(rows(await tx.connection.execute(query("books"), {"area": area, "year": year, "upto": upto})))


async def cases_of(tx: Transaction, area: str, period: Period, which: str) -> list[Row]:
    """Cases found by the end of a month, or of it: all (`rectification`), those still open (`problems`), those of them
    that an office above demands to be put right (`supervision`)."""
    wanted = select(cases).where(
        cases.c.area.startswith(area, autoescape=True), (cases.c.period.is_(None)) | (cases.c.period <= period)
    )
    if which != "rectification":
        wanted = wanted.where(cases.c.resolved_at.is_(None))
    found = list(rows(await tx.connection.execute(wanted.order_by(cases.c.due_on, cases.c.case_id))))
    if which == "supervision":
        found = [case for case in found if case["assigned_to"] and len(case["assigned_from"]) < len(case["area"])]
    return found

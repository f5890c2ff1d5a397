"""Overpayments: cases claim exactly what was paid too much, whatever changes (notice 7.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction, new_id, rows
from libs.common.errors import NotFound
from libs.common.events.disbursement import OverpaidMonth, RecoveryClosed, RecoveryOpened
from libs.common.period import Period
from libs.common.vocabulary import Subsidy
from services.disbursement import ledger
from services.disbursement.handlers.books import book
from services.disbursement.handlers.heirs import turn_to_estates
from services.disbursement.ledger import Book
from services.disbursement.queries import EVER, query
from services.disbursement.recovery import Case, ClaimedMonth, due_again_fen, review_claims


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the money of a month came from."""

    area: str
    book_area: str
    book_year: int


async def perhaps_overpaid(tx: Transaction, months: Sequence[tuple[str, Subsidy, date]]) -> set[tuple[str, Subsidy]]:
    """Whose months (first days), just settled or returned, are to be reviewed: paid beyond the entitlement, or of
    somebody who has a recovery or a decision already."""
    found = await tx.connection.execute(
        text(
            "SELECT DISTINCT person_id, subsidy FROM unnest(CAST(:person_ids AS text[]), CAST(:subsidies AS text[]),"
            " CAST(:periods AS date[])) AS t (person_id, subsidy, period)"
            " WHERE EXISTS (SELECT FROM recoveries r WHERE r.person_id = t.person_id AND r.subsidy = t.subsidy)"
            " OR EXISTS (SELECT FROM disallowances d WHERE d.person_id = t.person_id AND d.subsidy = t.subsidy)"
            " OR (SELECT coalesce(sum(p.amount_fen), 0) FROM payments p WHERE p.person_id = t.person_id"
            " AND p.subsidy = t.subsidy AND p.period = t.period AND p.status = 'settled')"
            " + (SELECT coalesce(sum(o.amount_fen), 0) FROM opening_months o WHERE o.person_id = t.person_id"
            " AND o.subsidy = t.subsidy AND o.period = t.period)"
            " > coalesce((SELECT s.amount_fen FROM entitled_spans s WHERE s.person_id = t.person_id"
            " AND s.subsidy = t.subsidy AND s.months @> t.period), 0)"
        ),
        {
            "person_ids": [person_id for person_id, _, _ in months],
            "subsidies": [subsidy for _, subsidy, _ in months],
            "periods": [period for _, _, period in months],
        },
    )
    return {(row.person_id, row.subsidy) for row in found}


async def review_overpayments(
    tx: Transaction,
    entitlements: Sequence[tuple[str, Subsidy]],
    *,
    on: date,
    cause: str | None = None,
    withdrawn: UUID | None = None,
) -> None:
    """Makes the cases of these persons claim exactly what was paid too much. Their locks are held by the caller.

    `cause`: of a case that opens now, where it is not the schedule's. `withdrawn`: a case that is told of even where it
    claims the same as before, because all of it was given back.
    """
    perhaps = (
        await tx.connection.execute(
            _PERHAPS_BEYOND,
            {
                "person_ids": [person_id for person_id, _ in entitlements],
                "subsidies": [subsidy for _, subsidy in entitlements],
            },
        )
    ).all()
    if not perhaps:
        return
    reviewed = [(row.person_id, row.subsidy) for row in perhaps]
    scope = {
        "person_ids": [person_id for person_id, _ in reviewed],
        "subsidies": [subsidy for _, subsidy in reviewed],
    }
    excess: dict[tuple[str, Subsidy], dict[Period, int]] = defaultdict(dict)
    sources: dict[tuple[str, Subsidy, Period], _Source] = {}
    last_paid = max((row.last_paid for row in perhaps if row.last_paid is not None), default=None)
    # A month that nothing was paid for is not overpaid: those behind the last one are not looked at.
    months = {"since": EVER, "upto": last_paid}
    found = await tx.connection.execute(query("excess"), scope | months) if last_paid else ()
    for row in found:
        period = Period.of(row.period)
        excess[row.person_id, row.subsidy][period] = row.excess_fen
        sources[row.person_id, row.subsidy, period] = _Source(row.area, row.book_area, row.book_year)
    with_cases = await _cases_of(tx, reviewed)
    for person_id, subsidy in sorted(excess.keys() | with_cases.keys()):
        cases = with_cases.get((person_id, subsidy), [])
        told = await _entitlement(tx, person_id, subsidy)
        why = cause or (told and (told.stopped_because or told.cause)) or "never_entitled"
        told_by = f"decision/{cause}" if cause else f"entitlement/{told.version if told else 0}"
        beyond = excess.get((person_id, subsidy), {})
        changed = review_claims(beyond, cases, why)
        if withdrawn is not None and str(withdrawn) not in {case.key for case in changed}:
            changed += [case for case in cases if case.key == str(withdrawn)]
        for case in changed:
            again_fen = due_again_fen(case, beyond)
            if case.key is None:
                case = await _open(tx, person_id, subsidy, case, sources, on=on)
            await _adjust(tx, person_id, subsidy, case, sources, told_by=told_by, on=on, due_again_fen=again_fen)
    if persons := {person_id for person_id, _ in excess.keys() | with_cases.keys()}:
        await turn_to_estates(tx, persons)


async def _cases_of(
    tx: Transaction, entitlements: Sequence[tuple[str, Subsidy]]
) -> dict[tuple[str, Subsidy], list[Case]]:
    found = await tx.connection.execute(
        text(
            "SELECT r.person_id, r.subsidy, r.recovery_id, r.cause, m.period, m.claimed_fen, m.repaid_fen,"
            " m.written_off_fen FROM recoveries r JOIN recovery_months m USING (recovery_id)"
            " JOIN unnest(CAST(:person_ids AS text[]), CAST(:subsidies AS text[])) AS s (person_id, subsidy)"
            " USING (person_id, subsidy) ORDER BY r.recovery_id, m.period"
        ),
        {"person_ids": [person for person, _ in entitlements], "subsidies": [subsidy for _, subsidy in entitlements]},
    )
    months: dict[tuple[str, Subsidy, UUID, str], list[ClaimedMonth]] = defaultdict(list)
    for row in found:
        months[row.person_id, row.subsidy, row.recovery_id, row.cause].append(
            ClaimedMonth(Period.of(row.period), row.claimed_fen, row.repaid_fen, row.written_off_fen)
        )
    cases: dict[tuple[str, Subsidy], list[Case]] = defaultdict(list)
    for (person_id, subsidy, recovery_id, cause), claimed in months.items():
        cases[person_id, subsidy].append(Case(str(recovery_id), cause, tuple(claimed)))
    return cases


async def _entitlement(tx: Transaction, person_id: str, subsidy: Subsidy) -> Any | None:
    """What the newest schedule says of itself."""
    return (
        await tx.connection.execute(
            text(
                "SELECT version, cause, stopped_because FROM entitlements"
                " WHERE person_id = :person_id AND subsidy = :subsidy"
            ),
            {"person_id": person_id, "subsidy": subsidy},
        )
    ).one_or_none()


async def _open(
    tx: Transaction,
    person_id: str,
    subsidy: Subsidy,
    case: Case,
    sources: dict[tuple[str, Subsidy, Period], _Source],
    *,
    on: date,
) -> Case:
    """Opens the case; what it claims is saved by `_adjust`."""
    recovery_id = new_id()
    area = sources[person_id, subsidy, case.months[-1].period].area
    await tx.connection.execute(
        text(
            "INSERT INTO recoveries (recovery_id, person_id, opened_of, subsidy, area, cause, opened_on, version)"
            " VALUES (:id, :person_id, :person_id, :subsidy, :area, :cause, :on, 0)"
        ),
        {"id": recovery_id, "person_id": person_id, "subsidy": subsidy, "area": area, "cause": case.cause, "on": on},
    )
    return replace(case, key=str(recovery_id))


async def _adjust(
    tx: Transaction,
    person_id: str,
    subsidy: Subsidy,
    case: Case,
    sources: dict[tuple[str, Subsidy, Period], _Source],
    *,
    told_by: str,
    on: date,
    due_again_fen: int,
) -> None:
    """Saves what the case claims from now on, books the difference, and tells."""
    recovery_id = UUID(str(case.key))
    before = {
        row.period: row
        for row in await tx.connection.execute(
            text(
                "SELECT period, claimed_fen, written_off_fen, book_area, book_year FROM recovery_months"
                " WHERE recovery_id = :id"
            ),
            {"id": recovery_id},
        )
    }
    version = await grow_version(tx, recovery_id)
    for month in case.months:
        known = before.get(month.period.first_day)
        source = known or sources[person_id, subsidy, month.period]
        more_fen = month.claimed_fen - (known.claimed_fen if known else 0)
        if more_fen == 0:
            continue
        await tx.connection.execute(
            text(
                "INSERT INTO recovery_months (recovery_id, period, claimed_fen, book_area, book_year)"
                " VALUES (:id, :period, :claimed_fen, :book_area, :book_year)"
                " ON CONFLICT (recovery_id, period) DO UPDATE SET claimed_fen = excluded.claimed_fen,"
                " written_off_fen = :written_off_fen"
            ),
            {
                "id": recovery_id,
                "period": month.period.first_day,
                "claimed_fen": month.claimed_fen,
                "written_off_fen": month.written_off_fen,
                "book_area": source.book_area,
                "book_year": source.book_year,
            },
        )
        restored_fen = known.written_off_fen - month.written_off_fen if known else 0
        budget = Book(source.book_area, subsidy, source.book_year)
        entries = [
            entry(budget, f"{recovery_id}/{version}/{month.period}", fen, person_id=person_id, on=on)
            for entry, fen in (
                (ledger.claim, more_fen),
                (ledger.reduce_claim, -more_fen - restored_fen),
                (ledger.reduce_write_off, restored_fen),
            )
            if fen > 0
        ]
        await book(tx, [replace(entry, told_by=told_by) for entry in entries])
    await tell_state(tx, recovery_id, on=on, due_again_fen=due_again_fen)


async def grow_version(tx: Transaction, recovery_id: UUID) -> int:
    version: int = (
        await tx.connection.execute(
            text("UPDATE recoveries SET version = version + 1 WHERE recovery_id = :id RETURNING version"),
            {"id": recovery_id},
        )
    ).scalar_one()
    return version


async def tell_state(tx: Transaction, recovery_id: UUID, *, on: date, due_again_fen: int = 0) -> None:
    """Closes the case when nothing is outstanding, opens it again when something is, and publishes its state."""
    state = await load(tx, recovery_id)
    closed = state["outstanding_fen"] == 0
    await tx.connection.execute(
        text("UPDATE recoveries SET status = :status, closed_on = CAST(:closed_on AS date) WHERE recovery_id = :id"),
        {"id": recovery_id, "status": "closed" if closed else "open", "closed_on": on if closed else None},
    )
    event = RecoveryClosed if closed else RecoveryOpened
    tx.publish(
        event(
            person_id=state["person_id"],
            version=state["version"],
            recovery_id=recovery_id,
            subsidy=state["subsidy"],
            area=state["area"],
            cause=state["cause"],
            months=tuple(
                OverpaidMonth(period=month["period"], amount_fen=month["amount_fen"])
                for month in state["months"]
                if month["amount_fen"]
            ),
            amount_fen=state["amount_fen"],
            recovered_fen=state["recovered_fen"],
            due_again_fen=due_again_fen,
            status="closed" if closed else "open",
        )
    )


async def load(tx: Transaction, recovery_id: UUID) -> dict[str, Any]:
    """A case with its months. NotFound."""
    found = await list_cases(tx, [recovery_id])
    if not found:
        raise NotFound("no such recovery")
    return found[0]


async def list_cases(tx: Transaction, recovery_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """These cases with their months and sums, newest first."""
    cases = rows(
        await tx.connection.execute(
            text("SELECT * FROM recoveries WHERE recovery_id = ANY(CAST(:ids AS uuid[])) ORDER BY recovery_id DESC"),
            {"ids": list(recovery_ids)},
        )
    )
    months: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in await tx.connection.execute(
        text(
            "SELECT recovery_id, period, claimed_fen, repaid_fen, written_off_fen FROM recovery_months"
            " WHERE recovery_id = ANY(CAST(:ids AS uuid[])) ORDER BY period"
        ),
        {"ids": list(recovery_ids)},
    ):
        months[row.recovery_id].append(
            {
                "period": Period.of(row.period),
                "amount_fen": row.claimed_fen,
                "repaid_fen": row.repaid_fen,
                "written_off_fen": row.written_off_fen,
            }
        )
    return [case | _sums(months[case["recovery_id"]]) for case in cases]


def _sums(months: list[dict[str, Any]]) -> dict[str, Any]:
    claimed = sum(month["amount_fen"] for month in months)
    repaid = sum(month["repaid_fen"] for month in months)
    written_off = sum(month["written_off_fen"] for month in months)
    return {
        "months": months,
        "amount_fen": claimed,
        "recovered_fen": repaid,
        "written_off_fen": written_off,
        "outstanding_fen": claimed - repaid - written_off,
    }


# Most of those whose schedule changes were never paid, or were paid elsewhere what they are entitled to.
_PERHAPS_BEYOND = text(
    """
    WITH asked AS (
        SELECT DISTINCT * FROM unnest(CAST(:person_ids AS text[]), CAST(:subsidies AS text[])) AS s (person_id, subsidy)
    ),
    settled AS (
        SELECT person_id, subsidy, max(p.period) AS last_paid FROM asked JOIN payments p USING (person_id, subsidy)
        WHERE p.status = 'settled' GROUP BY person_id, subsidy
    ),
    opened AS (
        SELECT person_id, subsidy, (max(upper(o.months)) - interval '1 month')::date AS last_paid,
            count(DISTINCT o.told_of) > 1 OR bool_or(NOT o.months <@ (
                SELECT coalesce(range_agg(e.months), '{}') FROM entitled_spans e
                WHERE e.person_id = o.person_id AND e.subsidy = o.subsidy AND e.amount_fen >= o.amount_fen)) AS beyond
        FROM asked JOIN openings o USING (person_id, subsidy) GROUP BY person_id, subsidy
    )
    SELECT person_id, subsidy, greatest(s.last_paid, o.last_paid) AS last_paid
    FROM asked LEFT JOIN settled s USING (person_id, subsidy) LEFT JOIN opened o USING (person_id, subsidy)
    WHERE s.last_paid IS NOT NULL OR o.beyond
       OR EXISTS (SELECT FROM recoveries r WHERE r.person_id = asked.person_id AND r.subsidy = asked.subsidy)
       OR EXISTS (SELECT FROM disallowances d WHERE d.person_id = asked.person_id AND d.subsidy = asked.subsidy)
    """
)

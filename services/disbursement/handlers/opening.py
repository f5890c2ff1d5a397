"""Recipients who are taken over from a roster (存量接管): what was paid elsewhere is entered, and never paid again."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_core import to_json
from sqlalchemy import text

from libs.common.consumer import Received
from libs.common.database import Transaction, new_id
from libs.common.events.intake import RecipientTakenOver
from libs.common.period import business_date
from libs.common.privacy import Sealer
from services.disbursement import ledger
from services.disbursement.handlers.books import book
from services.disbursement.handlers.merges import survivors
from services.disbursement.handlers.overpayments import review_overpayments
from services.disbursement.handlers.projections import keep_payees
from services.disbursement.ledger import Book
from services.disbursement.queries import query


async def take_over(sealer: Sealer, tx: Transaction, received: Sequence[Received]) -> None:
    """What was paid elsewhere, and whom to pay: nobody is paid for a month before it is known who paid it."""
    await enter_openings(tx, [item.data for item in received])
    await keep_payees(sealer, tx, [item._replace(data=item.data.payee) for item in received])


async def enter_openings(tx: Transaction, events: Sequence[RecipientTakenOver]) -> None:
    """Enters and books the paid months. Where the schedule is known already, what they make overpaid is claimed; else
    the schedule that follows sees to it."""
    persons = await survivors(tx, {event.person_id for event in events})
    await tx.lock(*persons, *persons.values())
    entry_id, on = new_id(), business_date(tx.now)
    entered = await tx.connection.execute(
        query("enter_openings"),
        {
            "told": to_json([row for event in events for row in _rows(event)]).decode(),
            "entry_id": entry_id,
            "now": tx.now,
        },
    )
    await book(
        tx,
        [
            ledger.bring_forward(Book(row.book_area, row.subsidy, row.book_year), str(entry_id), row.amount_fen, on=on)
            for row in entered.all()
        ],
    )
    known = await tx.connection.execute(
        text(
            "SELECT DISTINCT person_id, subsidy FROM entitlements"
            " JOIN unnest(CAST(:persons AS text[]), CAST(:subsidies AS text[])) AS entered (person_id, subsidy)"
            " USING (person_id, subsidy) ORDER BY person_id, subsidy"
        ),
        {
            "persons": [persons[event.person_id] for event in events for _ in event.paid],
            "subsidies": [subsidy for event in events for subsidy in event.paid],
        },
    )
    if scheduled := [(row.person_id, row.subsidy) for row in known]:
        await review_overpayments(tx, scheduled, on=on)


async def keep_takeovers(tx: Transaction, received: Sequence[Received]) -> None:
    """Which rosters are being taken over: no cycle is drawn up over their areas meanwhile."""
    told = [item.data.model_dump(mode="json", include={"import_id", "version", "area", "status"}) for item in received]
    await tx.connection.execute(
        text(
            "INSERT INTO takeovers (import_id, version, area, status, told_at)"
            " SELECT DISTINCT ON (import_id) import_id, version, area, status, :now"
            " FROM jsonb_to_recordset(CAST(:told AS jsonb))"
            " AS told (import_id uuid, version bigint, area text, status text) ORDER BY import_id, version DESC"
            " ON CONFLICT (import_id) DO UPDATE SET version = excluded.version, status = excluded.status,"
            " told_at = excluded.told_at, absorbed_at = NULL WHERE takeovers.version < excluded.version"
        ),
        {"told": to_json(told).decode(), "now": tx.now},
    )


def _rows(event: RecipientTakenOver) -> list[dict[str, object]]:
    return [
        {
            "person_id": event.person_id,
            "subsidy": subsidy,
            "first": months.from_.first_day,
            "after": months.to.next.first_day,
            "amount_fen": months.amount_fen,
            "area": event.area,
            "import_id": event.import_id,
        }
        for subsidy, paid in event.paid.items()
        for months in paid
    ]

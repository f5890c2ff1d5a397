"""Recipients who are taken over from a roster (存量接管): what was paid elsewhere is entered, and never paid again."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_core import to_json
from sqlalchemy import text

from libs.common.database import Transaction, new_id
from libs.common.events.intake import RecipientsTakenOver
from libs.common.period import business_date
from libs.common.projection import Received
from services.disbursement import ledger
from services.disbursement.handlers.books import book
from services.disbursement.handlers.merges import survivors
from services.disbursement.handlers.overpayments import review_overpayments
from services.disbursement.handlers.projections import payee_row, save_payees
from services.disbursement.ledger import Book
from services.disbursement.queries import query


async def take_over(tx: Transaction, received: Sequence[Received]) -> None:
    """What was paid elsewhere, and whom to pay: nobody is paid for a month before it is known who paid it."""
    await enter_openings(tx, [item.data for item in received])
    payees = sorted((r.payee for item in received for r in item.data.recipients), key=lambda payee: payee.version)
    newest = {payee.person_id: payee for payee in payees}
    await save_payees(tx, [(payee, payee_row(payee)) for payee in newest.values()])


async def enter_openings(tx: Transaction, events: Sequence[RecipientsTakenOver]) -> None:
    """Enters and books the paid months. Where the schedule is known already, what they make overpaid is claimed; else
    the schedule that follows sees to it."""
    recipients = [recipient for event in events for recipient in event.recipients]
    persons = await survivors(tx, {recipient.person_id for recipient in recipients})
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
            "persons": [persons[recipient.person_id] for recipient in recipients for _ in recipient.paid],
            "subsidies": [subsidy for recipient in recipients for subsidy in recipient.paid],
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


def _rows(event: RecipientsTakenOver) -> list[dict[str, object]]:
    return [
        {
            "person_id": recipient.person_id,
            "subsidy": subsidy,
            "first": months.from_.first_day,
            "after": months.to.next.first_day,
            "amount_fen": months.amount_fen,
            "area": recipient.area,
            "import_id": event.import_id,
        }
        for recipient in event.recipients
        for subsidy, paid in recipient.paid.items()
        for months in paid
    ]

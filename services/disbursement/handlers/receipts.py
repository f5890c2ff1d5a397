"""The SMS that the bank says it sent (notice 4.3): kept, and checked for the five items once the settlement is here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDY_NAMES
from services.disbursement.handlers.cases import open_case
from services.disbursement.sms import Announcement, missing_items


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS to the payee of one payment."""

    payment_id: UUID
    content: str
    sent_at: datetime


async def note_sms(tx: Transaction, messages: Sequence[Sms]) -> None:
    """Keeps the newest SMS of each payment and checks it. The locks of the persons are held by the caller."""
    newest: dict[UUID, Sms] = {}
    for message in sorted(messages, key=lambda message: message.sent_at):
        newest[message.payment_id] = message
    await tx.connection.execute(
        text(
            "INSERT INTO sms_receipts (payment_id, text, sent_at) SELECT * FROM unnest(CAST(:ids AS uuid[]),"
            " CAST(:contents AS text[]), CAST(:moments AS timestamptz[]))"
            " ON CONFLICT (payment_id) DO UPDATE SET text = excluded.text, sent_at = excluded.sent_at, missing = NULL"
            " WHERE sms_receipts.sent_at < excluded.sent_at"
        ),
        {
            "ids": list(newest),
            "contents": [message.content for message in newest.values()],
            "moments": [message.sent_at for message in newest.values()],
        },
    )
    await check_sms(tx, newest)


async def check_sms(tx: Transaction, payment_ids: Collection[UUID]) -> None:
    """Checks the five items where both the SMS and the settlement are here; what is missing is a case."""
    found = (
        await tx.connection.execute(
            text(
                "SELECT s.payment_id, s.text, p.subsidy, p.amount_fen - p.offset_fen AS amount_fen, p.settled_on,"
                " p.period, p.area, p.person_id, p.cycle_id, b.department"
                " FROM sms_receipts s JOIN payments p USING (payment_id) JOIN batches b USING (batch_id)"
                " WHERE s.payment_id = ANY(CAST(:ids AS uuid[])) AND s.missing IS NULL AND p.settled_on IS NOT NULL"
            ),
            {"ids": list(payment_ids)},
        )
    ).all()
    right = []
    for row in found:
        missing = missing_items(row.text, _due(row))
        if missing:
            await _note_incomplete(tx, row, missing)
        else:
            right.append(row.payment_id)
    if right:
        await tx.connection.execute(
            text("UPDATE sms_receipts SET missing = '{}', text = NULL WHERE payment_id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": right},
        )


def _due(row: Any) -> Announcement:
    return Announcement(
        SUBSIDY_NAMES[row.subsidy], row.amount_fen, row.settled_on, row.department, Period.of(row.period)
    )


async def _note_incomplete(tx: Transaction, row: Any, missing: Sequence[str]) -> None:
    await tx.connection.execute(
        text("UPDATE sms_receipts SET missing = :missing WHERE payment_id = :id"),
        {"id": row.payment_id, "missing": list(missing)},
    )
    await open_case(
        tx,
        "sms_incomplete",
        str(row.payment_id),
        area=row.area,
        period=Period.of(row.period),
        person_id=row.person_id,
        payment_id=row.payment_id,
        cycle_id=row.cycle_id,
        missing=missing,
        amount_fen=row.amount_fen,
    )

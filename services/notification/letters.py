"""What no phone can receive goes on paper, and its delivery is recorded by whoever handed it over (notice 1)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, rows
from libs.common.errors import Conflict, InvalidInput, NotFound
from libs.common.events.notification import MessageFailed, ReminderDelivered
from libs.common.papers.printing import Paper
from libs.common.period import SHANGHAI, business_date
from libs.common.privacy import Sealer
from services.notification.papers import letter
from services.notification.tables import contacts, messages

UNSENT_DAYS = 7
"""A text that could not be sent for this long becomes a letter: any later and it would be no notice."""

UNCONFIRMED_DAYS = 3
"""A text of which the provider tells nothing for this long has failed: a delivery is proved or it is none."""


async def record_delivery(
    tx: Transaction, principal: Principal, message_id: UUID, delivered_on: date, today: date
) -> dict[str, Any]:
    """A letter was handed over. Conflict unless one is due; a reminder's delivery is told to matching."""
    found = rows(
        await tx.connection.execute(select(messages).where(messages.c.message_id == message_id).with_for_update())
    )
    if not found:
        raise NotFound("no such message")
    message = found[0]
    principal.require_sight(message["area"], "message")
    if message["status"] != "letter_due":
        raise Conflict(f"the message is {message['status']}: no letter is due")
    if not business_date(message["created_at"]) <= delivered_on <= today:
        raise InvalidInput.at("delivered_on", "between the day of the message and today")
    delivered_at = datetime.combine(delivered_on, time(12), SHANGHAI)
    await tx.connection.execute(
        update(messages)
        .where(messages.c.message_id == message_id)
        .values(status="delivered", delivered_on=delivered_on, delivered_at=delivered_at)
    )
    if message["kind"] == "reminder" and message["subject_id"] is not None:
        tx.publish(
            ReminderDelivered(
                person_id=message["person_id"],
                outreach_id=message["subject_id"],
                message_id=message_id,
                medium="letter",
                delivered_at=delivered_at,
            )
        )
    await record(tx, principal, "record letter", str(message_id), person_id=message["person_id"])
    return {**message, "status": "delivered", "delivered_on": delivered_on, "delivered_at": delivered_at}


async def write_letter(tx: Transaction, sealer: Sealer, principal: Principal, message_id: UUID, today: date) -> Paper:
    """The message on paper, addressed to the person by name where intake told it. NotFound; each printing is logged."""
    found = rows(
        await tx.connection.execute(
            select(messages, contacts.c.name)
            .join(contacts, contacts.c.person_id == messages.c.person_id, isouter=True)
            .where(messages.c.message_id == message_id)
        )
    )
    if not found:
        raise NotFound("no such message")
    message = found[0]
    principal.require_sight(message["area"], "message")
    name = sealer.open(message["name"], "contacts", message["person_id"], "name") if message["name"] else None
    await record(tx, principal, "print letter", str(message_id), person_id=message["person_id"])
    return letter(
        message_id,
        message["kind"],
        message["text"],
        message["area"],
        name,
        business_date(message["created_at"]),
        principal.sub,
        today,
    )


async def turn_unsent_into_letters(tx: Transaction, as_of: date) -> int:
    """Daily: texts that waited too long for a provider."""
    before = datetime.combine(as_of - timedelta(days=UNSENT_DAYS), time(), SHANGHAI)
    changed = await tx.connection.execute(
        update(messages)
        .where(messages.c.status.in_(("queued", "sending")), messages.c.created_at < before)
        .values(
            status="letter_due",
            medium="letter",
            reason=f"not sent within {UNSENT_DAYS} days",
            next_try_at=None,
            phone=None,
        )
        .returning(messages.c.message_id)
    )
    return len(changed.all())


async def fail_unconfirmed(tx: Transaction, as_of: date) -> int:
    """Daily: texts that the provider accepted and says nothing more of."""
    before = datetime.combine(as_of - timedelta(days=UNCONFIRMED_DAYS), time(), SHANGHAI)
    reason = f"no receipt within {UNCONFIRMED_DAYS} days"
    failed = rows(
        await tx.connection.execute(
            update(messages)
            .where(messages.c.status == "sent", messages.c.sent_at < before)
            .values(status="failed", reason=reason, next_try_at=None, phone=None)
            .returning(messages.c.message_id, messages.c.person_id, messages.c.kind)
        )
    )
    for message in failed:
        tx.publish(MessageFailed(**message, reason=reason))
    return len(failed)

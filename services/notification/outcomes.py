"""What becomes of messages: delivered, or a letter because no text got through. Whoever asked for them is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, update

from libs.common.database import Transaction, rows
from libs.common.events.notification import MessageFailed, ReminderDelivered
from libs.common.period import SHANGHAI, business_date
from services.notification.parameters import Name, load_parameters
from services.notification.tables import messages

IN_HAND = ("sending", "sent")


async def deliver_texts(tx: Transaction, message_ids: Collection[UUID]) -> int:
    """These texts reached their phones, and with them whoever else was told by the same SMS.

    A receipt may come after a letter took the text's place: then the letter is no longer due.
    """
    arrived = or_(
        messages.c.status.in_(IN_HAND), and_(messages.c.status == "letter_due", messages.c.sent_at.is_not(None))
    )
    changed = await tx.connection.execute(
        update(messages)
        .where(of_texts(message_ids), arrived)
        .values(
            status="delivered",
            medium="sms",
            reason=None,
            next_try_at=None,
            phone=None,
            sent_at=func.coalesce(messages.c.sent_at, tx.now),
            delivered_at=tx.now,
            delivered_on=business_date(tx.now),
        )
        .returning(messages)
    )
    delivered = rows(changed)
    for message in delivered:
        tell_delivery(tx, message)
    return len(delivered)


def tell_delivery(tx: Transaction, message: Mapping[str, Any]) -> None:
    """Matching counts its days from a reminder's delivery (notice 1)."""
    if message["kind"] == "reminder" and message["subject_id"] is not None:
        tx.publish(
            ReminderDelivered(
                person_id=message["person_id"],
                outreach_id=message["subject_id"],
                message_id=message["message_id"],
                medium=message["medium"],
                delivered_at=message["delivered_at"],
            )
        )


async def turn_into_letters(tx: Transaction, reasons: Mapping[UUID, str]) -> int:
    """These texts will never arrive: each person they were for gets a letter."""
    done = 0
    for reason in set(reasons.values()):
        texts = [message_id for message_id, its_reason in reasons.items() if its_reason == reason]
        done += await _turn(tx, and_(of_texts(texts), messages.c.status.in_(IN_HAND)), reason)
    return done


async def turn_unsent_into_letters(tx: Transaction, as_of: date) -> int:
    """Daily: texts that no platform took for so long that they would be no notice any more."""
    old = await _older_than(tx, "sms.unsent", messages.c.created_at, as_of)
    waiting = messages.c.status.in_(("queued", "sending"))
    return await _turn(tx, and_(waiting, old), "not sent in time")


async def turn_unconfirmed_into_letters(tx: Transaction, as_of: date) -> int:
    """Daily: texts that the platform accepted and tells nothing more of."""
    old = await _older_than(tx, "sms.unconfirmed", messages.c.sent_at, as_of)
    return await _turn(tx, and_(messages.c.status == "sent", old), "no receipt in time")


async def _turn(tx: Transaction, which: ColumnElement[bool], reason: str) -> int:
    return await _end(tx, which, reason, status="letter_due", medium="letter")


async def _end(tx: Transaction, which: ColumnElement[bool], reason: str, **values: str) -> int:
    """No text goes out for these; how many."""
    changed = await tx.connection.execute(
        update(messages).where(which).values(reason=reason, next_try_at=None, phone=None, **values).returning(messages)
    )
    turned = rows(changed)
    for message in turned:
        tell_failure(tx, message, reason)
    return len(turned)


async def _older_than(tx: Transaction, name: Name, moment: ColumnElement[datetime], as_of: date) -> ColumnElement[bool]:
    """Whether `moment` lies so many days before `as_of` as the message's area has it."""
    by_area = (await load_parameters(tx)).by_layer(name, as_of)
    whens = [
        (messages.c.area.startswith(area), moment < datetime.combine(as_of - timedelta(days=days), time(), SHANGHAI))
        for area, days in sorted(by_area.items(), key=lambda item: -len(item[0]))
    ]
    return case(*whens, else_=False)


async def suppress_text(tx: Transaction, message_id: UUID, reason: str) -> None:
    """Nobody is told any more; whoever asked for it learns that."""
    await _end(tx, messages.c.message_id == message_id, reason, status="suppressed")


def tell_failure(tx: Transaction, message: Mapping[str, Any], reason: str) -> None:
    tx.publish(
        MessageFailed(
            person_id=message["person_id"], message_id=message["message_id"], kind=message["kind"], reason=reason
        )
    )


def of_texts(message_ids: Collection[UUID]) -> ColumnElement[bool]:
    """The messages that were sent under these ids."""
    return or_(messages.c.message_id.in_(message_ids), messages.c.sent_with.in_(message_ids))

"""What no phone can receive goes on paper, and its delivery is recorded by whoever handed it over (notice 1)."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, rows
from libs.common.errors import Conflict, InvalidInput, NotFound
from libs.common.papers.printing import Paper
from libs.common.period import SHANGHAI, business_date
from libs.common.privacy import Sealer
from services.notification.outcomes import tell_delivery, tell_failure
from services.notification.papers import letter
from services.notification.tables import contacts, deceased, messages

ReceivedBy = Literal["self", "family", "guardian", "agent", "left", "post", "notice"]
"""To whom or how a letter was handed over: `left` at the door when refused (留置), by `post`, by public `notice`."""


async def record_delivery(
    tx: Transaction, principal: Principal, message_id: UUID, delivered_on: date, received_by: ReceivedBy, today: date
) -> dict[str, Any]:
    """A letter was handed over. Conflict unless one is due; a reminder's delivery is told to matching."""
    message = await _due_letter(tx, principal, message_id)
    if not business_date(message["created_at"]) <= delivered_on <= today:
        raise InvalidInput.at("delivered_on", "须在通知之日与今天之间 (between the day of the message and today)")
    values = {
        "status": "delivered",
        "delivered_on": delivered_on,
        "delivered_at": datetime.combine(delivered_on, time(12), SHANGHAI),
        "received_by": received_by,
    }
    await tx.connection.execute(update(messages).where(messages.c.message_id == message_id).values(**values))
    tell_delivery(tx, {**message, **values})
    await record(tx, principal, "record letter", str(message_id), person_id=message["person_id"])
    return {**message, **values}


async def record_failure(tx: Transaction, principal: Principal, message_id: UUID, reason: str) -> dict[str, Any]:
    """A letter cannot be handed over: the message is dead, and whoever asked for it is told. Conflict unless one is
    due."""
    message = await _due_letter(tx, principal, message_id)
    values = {"status": "failed", "reason": reason}
    await tx.connection.execute(update(messages).where(messages.c.message_id == message_id).values(**values))
    tell_failure(tx, message, reason)
    await record(tx, principal, "fail letter", str(message_id), person_id=message["person_id"])
    return {**message, **values}


async def _due_letter(tx: Transaction, principal: Principal, message_id: UUID) -> dict[str, Any]:
    found = rows(
        await tx.connection.execute(select(messages).where(messages.c.message_id == message_id).with_for_update())
    )
    if not found:
        raise NotFound("no such message")
    [message] = found
    principal.require_sight(message["area"], "message")
    if message["status"] != "letter_due":
        raise Conflict(f"该通知不需书面送达 (the message is {message['status']}: no letter is due)")
    return message


async def write_letter(tx: Transaction, sealer: Sealer, principal: Principal, message_id: UUID, today: date) -> Paper:
    """The message on paper, addressed to the person by name where intake told it. NotFound; each printing is logged."""
    found = rows(
        await tx.connection.execute(
            select(messages, contacts.c.name, deceased.c.person_id.is_not(None).label("died"))
            .join(contacts, contacts.c.person_id == messages.c.person_id, isouter=True)
            .join(deceased, deceased.c.person_id == messages.c.person_id, isouter=True)
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
        to_family=message["died"],
    )

"""Messages: what was said to whom, what became of it, and the letters that are handed over."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import func, select
from starlette.responses import Response

from libs.common.areas import Area
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import NotFound
from libs.common.papers.answers import Form, answer_with
from libs.common.privacy import Sealer
from libs.common.web import Page, Paging, Tx, router
from services.notification import letters
from services.notification.tables import contacts, message_history, messages
from services.notification.texts import Kind

api = router(prefix="/v1", tags=["notification"])

MessageStatus = Literal["queued", "sending", "sent", "delivered", "failed", "letter_due", "suppressed"]
Deliverer = Annotated[Principal, Depends(caller("township", "civil_affairs"))]

_SHOWN = [
    messages.c[name]
    for name in (
        "message_id",
        "person_id",
        "area",
        "kind",
        "medium",
        "status",
        "reason",
        "text",
        "template_area",
        "template_version",
        "created_at",
        "sent_at",
        "delivered_at",
        "delivered_on",
        "received_by",
        "sent_with",
    )
]


class LetterDelivery(BaseModel):
    """The receipt of delivery (送达回证): when, and by whom or how it was received."""

    delivered_on: date
    received_by: letters.ReceivedBy = "self"


class LetterFailure(BaseModel):
    reason: str = Field(min_length=2, max_length=200)


@api.get("/messages")
async def list_messages(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    person_id: str | None = None,
    kind: Kind | None = None,
    status: MessageStatus | None = None,
    area: Area | None = None,
) -> Page:
    """Newest first."""
    query = select(*_SHOWN).where(reader.within(messages.c.area, area))
    for column, value in ((messages.c.person_id, person_id), (messages.c.kind, kind), (messages.c.status, status)):
        if value is not None:
            query = query.where(column == value)
    found = await tx.connection.execute(paging.cut(query, messages.c.message_id, descending=True))
    return paging.page(rows(found), "message_id")


@api.get("/message-statistics")
async def count_messages(tx: Tx, reader: Official, area: Area | None = None) -> dict[str, Any]:
    """How many messages of each kind, medium and status."""
    by = (messages.c.kind, messages.c.medium, messages.c.status)
    found = await tx.connection.execute(
        select(*by, func.count().label("messages"))
        .where(reader.within(messages.c.area, area))
        .group_by(*by)
        .order_by(*by)
    )
    return {"items": rows(found), "next_cursor": None}


@api.get("/messages/{message_id}")
async def show_message(message_id: UUID, tx: Tx, reader: Official) -> dict[str, Any]:
    """One message with what became of it, step by step."""
    found = rows(await tx.connection.execute(select(*_SHOWN).where(messages.c.message_id == message_id)))
    if not found:
        raise NotFound("no such message")
    reader.require_sight(found[0]["area"], "message")
    history = await tx.connection.execute(
        select(message_history.c.at, message_history.c.status, message_history.c.reason, message_history.c.attempts)
        .where(message_history.c.message_id == message_id)
        .order_by(message_history.c.at)
    )
    return {**found[0], "history": rows(history)}


@api.post("/messages/{message_id}/delivery")
async def deliver_letter(message_id: UUID, body: LetterDelivery, tx: Tx, deliverer: Deliverer) -> dict[str, Any]:
    """Records that the letter of a message was handed over; 409 unless one is due."""
    message = await letters.record_delivery(
        tx, deliverer, message_id, body.delivered_on, body.received_by, business_today()
    )
    return {column.name: message[column.name] for column in _SHOWN}


@api.post("/messages/{message_id}/failure")
async def fail_letter(message_id: UUID, body: LetterFailure, tx: Tx, deliverer: Deliverer) -> dict[str, Any]:
    """Records that the letter of a message cannot be handed over, and why; 409 unless one is due."""
    message = await letters.record_failure(tx, deliverer, message_id, body.reason)
    return {column.name: message[column.name] for column in _SHOWN}


@api.get("/messages/{message_id}/letter.{form}")
async def print_letter(message_id: UUID, form: Form, request: Request, tx: Tx, deliverer: Deliverer) -> Response:
    """The message as a letter (停发 / 恢复 / 补发 / 追回通知书), with a receipt of delivery to sign."""
    sealer: Sealer = request.app.state.sealer
    return await answer_with(await letters.write_letter(tx, sealer, deliverer, message_id, business_today()), form)


@api.get("/persons/{person_id}/timeline")
async def show_timeline(
    person_id: str, tx: Tx, reader: Official, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> dict[str, Any]:
    """What the person was told, newest first. NotFound for whom nobody in one's area knows."""
    found = rows(
        await tx.connection.execute(
            select(*_SHOWN)
            .where(messages.c.person_id == person_id, reader.within(messages.c.area))
            .order_by(messages.c.message_id.desc())
            .limit(limit)
        )
    )
    if not found:
        home = await tx.connection.execute(select(contacts.c.area).where(contacts.c.person_id == person_id))
        reader.require_sight(home.scalar_one_or_none() or "", "person")
    return {"items": [_story(message) for message in found], "next_cursor": None}


def _story(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": message["delivered_at"] or message["sent_at"] or message["created_at"],
        "what": f"message.{message['kind']}",
        "detail": message["text"],
        "status": message["status"],
        "medium": message["medium"],
        "message_id": message["message_id"],
    }

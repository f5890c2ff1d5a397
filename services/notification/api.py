"""Messages, the texts they are made of, and the delivery of letters."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from starlette.responses import Response

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import CivilAffairs, Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.papers.answers import Form, answer_with
from libs.common.privacy import Sealer
from libs.common.web import Page, Paging, Tx, router
from services.notification import letters, texts
from services.notification.composing import read_templates
from services.notification.tables import messages, templates
from services.notification.texts import Kind

api = router(prefix="/v1", tags=["notification"])

MessageStatus = Literal["queued", "sending", "sent", "delivered", "failed", "letter_due"]
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
    )
]


class TemplateText(BaseModel):
    """The text of a kind for an area and all below it that have none of their own."""

    area: Area
    text: str = Field(max_length=texts.LONGEST_TEXT)


class LetterDelivery(BaseModel):
    delivered_on: date


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


@api.post("/messages/{message_id}/delivery")
async def deliver_letter(message_id: UUID, body: LetterDelivery, tx: Tx, deliverer: Deliverer) -> dict[str, Any]:
    """Records that the letter of a message was handed over; 409 unless one is due."""
    message = await letters.record_delivery(tx, deliverer, message_id, body.delivered_on, business_today())
    return {column.name: message[column.name] for column in _SHOWN}


@api.get("/messages/{message_id}/letter.{form}")
async def print_letter(message_id: UUID, form: Form, request: Request, tx: Tx, deliverer: Deliverer) -> Response:
    """The message as a letter (停发 / 恢复 / 补发 / 追回通知书), with a receipt of delivery to sign."""
    sealer: Sealer = request.app.state.sealer
    return await answer_with(await letters.write_letter(tx, sealer, deliverer, message_id, business_today()), form)


@api.get("/templates")
async def list_templates(tx: Tx, reader: Official, area: Area | None = None) -> dict[str, Any]:
    """Of each kind the text in force in an area, by default one's own."""
    written = await read_templates(tx, texts.KINDS)
    return {
        "items": [_template(kind, texts.in_force(kind, area or reader.area, written)) for kind in texts.KINDS],
        "next_cursor": None,
    }


@api.get("/templates/{kind}")
async def show_template(kind: Kind, tx: Tx, reader: Official, area: Area | None = None) -> dict[str, Any]:
    """The text in force in an area, by default one's own, and every version that was written for that very area."""
    place = area or reader.area
    template = texts.in_force(kind, place, await read_templates(tx, [kind]))
    history = await tx.connection.execute(
        select(templates.c.version, templates.c.text, templates.c.written_by, templates.c.written_at)
        .where(templates.c.kind == kind, templates.c.area == place)
        .order_by(templates.c.version.desc())
    )
    return {**_template(kind, template), "versions": rows(history)}


@api.put("/templates/{kind}")
async def write_template(kind: Kind, body: TemplateText, tx: Tx, author: CivilAffairs) -> dict[str, Any]:
    """A new version for an area. Messages made before keep theirs. Writing the text in force again changes nothing."""
    author.require_area(body.area)
    texts.check(kind, body.text)
    await tx.lock(f"template:{kind}:{body.area}")
    before = texts.in_force(kind, body.area, await read_templates(tx, [kind]))
    if before.area == body.area and before.text == body.text:
        return _template(kind, before)
    version = before.version + 1 if before.area == body.area else 1
    await tx.connection.execute(
        insert(templates).values(
            kind=kind, area=body.area, version=version, text=body.text, written_by=author.sub, written_at=tx.now
        )
    )
    await record(tx, author, "write template", f"{kind}:{body.area}:{version}")
    return _template(kind, texts.Template(kind, body.area, version, body.text))


@api.get("/persons/{person_id}/timeline")
async def show_timeline(
    person_id: str, tx: Tx, reader: Official, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> dict[str, Any]:
    """What the person was told, newest first."""
    found = await tx.connection.execute(
        select(*_SHOWN)
        .where(messages.c.person_id == person_id, reader.within(messages.c.area))
        .order_by(messages.c.message_id.desc())
        .limit(limit)
    )
    return {"items": [_story(message) for message in rows(found)], "next_cursor": None}


def _story(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": message["delivered_at"] or message["sent_at"] or message["created_at"],
        "what": f"message.{message['kind']}",
        "detail": message["text"],
        "status": message["status"],
        "medium": message["medium"],
        "message_id": message["message_id"],
    }


def _template(kind: Kind, template: texts.Template) -> dict[str, Any]:
    return {
        "kind": kind,
        "area": template.area or None,
        "version": template.version,
        "text": template.text,
        "placeholders": sorted(texts.PLACEHOLDERS[kind]),
    }

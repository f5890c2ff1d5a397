"""The texts that messages are made of, by kind and area, with every version."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import CivilAffairs, Official
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.web import Tx, router
from services.notification import texts
from services.notification.composing import read_templates, remedy_of
from services.notification.parameters import load_parameters
from services.notification.tables import templates
from services.notification.texts import Kind

api = router(prefix="/v1", tags=["notification"])


class TemplateText(BaseModel):
    """The text of a kind for an area and all below it that have none of their own."""

    area: Area
    text: str = Field(max_length=texts.LONGEST_TEXT)


class PreviewedText(BaseModel):
    """A text to try; without one, the text in force. `area` by default one's own."""

    area: Area | None = None
    text: str | None = Field(default=None, max_length=texts.LONGEST_TEXT)


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


@api.post("/templates/{kind}/preview")
async def preview_template(kind: Kind, body: PreviewedText, tx: Tx, reader: Official) -> dict[str, Any]:
    """A text as a person would read it, with sample values; nothing is stored or sent. 422 where it may not be used."""
    area = body.area or reader.area
    text = body.text
    if text is None:
        text = texts.in_force(kind, area, await read_templates(tx, [kind])).text
    texts.check(kind, text)
    shown = texts.preview(kind, text, remedy_of(await load_parameters(tx), area, business_today()))
    return {"kind": kind, "text": shown, "characters": len(shown), "sms_parts": texts.sms_parts(shown), "sample": True}


def _template(kind: Kind, template: texts.Template) -> dict[str, Any]:
    return {
        "kind": kind,
        "area": template.area or None,
        "version": template.version,
        "text": template.text,
        "placeholders": sorted(texts.PLACEHOLDERS[kind]),
    }

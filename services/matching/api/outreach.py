"""Outreach: who is to be told of the subsidies, and what became of it (notice 1)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, Field
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import InvalidInput
from libs.common.vocabulary import Subsidy
from libs.common.web import Page, Paging, Tx, router
from services.matching.handlers import outreach as handlers
from services.matching.outreach import Because, OutreachStatus
from services.matching.tables import outreach

api = router(prefix="/v1/outreach", tags=["outreach"])

Caller = Annotated[Principal, Depends(caller("township", "civil_affairs", "cdpf"))]


class Outreach(BaseModel):
    """One case with its dates. The office reminds by `remind_by`; `alarm_since` says that it did not. The reminder is
    answered until the end of `lapses_after`, null while there is none or it came late: nothing lapses then."""

    outreach_id: UUID
    person_id: str
    area: str
    because: Because
    status: OutreachStatus
    began_on: date
    identified_on: date
    remind_by: date
    prescreened_on: date | None
    eligible: list[Subsidy] | None
    reminder_requested_on: date | None
    reminded_on: date | None
    reminded_by: str | None
    lapses_after: date | None
    task_due_on: date | None
    alarm_since: date | None
    applied_on: date | None
    lapsed_on: date | None
    closed_on: date | None
    closed_because: str | None
    note: str | None


class OutreachWithReasons(Outreach):
    """`decisions`: the pre-screening's judgement of each subsidy, with its reasons."""

    decisions: list[dict[str, Any]] | None


class NewOutcome(BaseModel):
    """What a call, a visit or a letter came to; `on` is today by default."""

    outcome: Literal["reminded", "facts_corrected", "not_eligible", "declined", "unreachable"]
    method: Literal["phone", "visit", "video", "letter", "sms"] = "phone"
    on: date | None = None
    note: str = Field(default="", max_length=2000)


@api.get("")
async def list_outreach(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    status: OutreachStatus | None = None,
    alarm: bool | None = None,
    person_id: str | None = None,
) -> Page:
    """`alarm`: only those whom the office did not remind in time, or only the others."""
    query = select(outreach).where(reader.within(outreach.c.area, area))
    for column, value in ((outreach.c.status, status), (outreach.c.person_id, person_id)):
        if value is not None:
            query = query.where(column == value)
    if alarm is not None:
        query = query.where(outreach.c.alarm_since.is_not(None) if alarm else outreach.c.alarm_since.is_(None))
    found = rows(await tx.connection.execute(paging.cut(query, outreach.c.outreach_id)))
    page = paging.page(found, "outreach_id")
    return Page(items=[Outreach.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@api.get("/{outreach_id}")
async def read_outreach(outreach_id: UUID, tx: Tx, reader: Official) -> OutreachWithReasons:
    return _shown(await handlers.read_case(tx, outreach_id, reader))


@api.post("/{outreach_id}/outcome")
async def record_outcome(outreach_id: UUID, body: NewOutcome, tx: Tx, official: Caller) -> OutreachWithReasons:
    """A reminder given by any means, or what a call or a visit found out. It enrols nobody."""
    today = business_today()
    on = body.on or today
    if on > today:
        raise InvalidInput.at("on", "日期尚未到来 (lies in the future)")
    return _shown(await handlers.record_outcome(tx, outreach_id, body.outcome, body.method, on, body.note, official))


def _shown(row: Any) -> OutreachWithReasons:
    return OutreachWithReasons.model_validate(dict(row._mapping))

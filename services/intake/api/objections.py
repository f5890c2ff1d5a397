"""Objections over REST."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, StringConstraints, model_validator
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import InvalidInput
from libs.common.period import Period
from libs.common.vocabulary import Subsidy
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Filer, Keys
from services.intake.handlers import objections as handlers
from services.intake.tables import objections
from services.intake.words import Words

api = router(prefix="/v1/objections", tags=["objections"], dependencies=RATE_LIMITED)

Said = Annotated[Words, StringConstraints(min_length=1)]


class Objection(BaseModel):
    """Against what was decided on an application, or what became of a person's month."""

    application_id: UUID | None = None
    person_id: str | None = None
    subsidy: Subsidy | None = None
    period: Period | None = None
    text: Said

    @model_validator(mode="after")
    def _names_its_object(self) -> Objection:
        if self.application_id is None and (self.person_id is None or self.subsidy is None or self.period is None):
            raise ValueError(
                "请填申请编号，或人员、补贴和月份 (needs application_id, or person_id with subsidy and period)"
            )
        return self


class Filed(BaseModel):
    objection_id: UUID
    status: Literal["open"] = "open"


class Decision(BaseModel):
    outcome: handlers.Outcome
    reason: Said


class Decided(BaseModel):
    objection_id: UUID
    status: handlers.Outcome
    decided_on: date


class Handling(BaseModel):
    handling: Said


class Handled(BaseModel):
    objection_id: UUID
    handled_on: date


@api.post("", status_code=201)
async def file_objection(objection: Objection, tx: Tx, keys: Keys, filer: Filer) -> Filed:
    on = business_today()
    if objection.application_id is not None:
        objection_id = await handlers.object_to_application(
            tx, keys, filer, objection.application_id, objection.text, on=on
        )
    elif objection.person_id is not None and objection.subsidy is not None and objection.period is not None:
        objection_id = await handlers.object_to_month(
            tx, keys, filer, objection.person_id, objection.subsidy, objection.period, objection.text, on=on
        )
    else:
        raise InvalidInput(
            "请填申请编号，或人员、补贴和月份 (needs application_id, or person_id with subsidy and period)"
        )
    return Filed(objection_id=objection_id)


@api.get("")
async def list_objections(
    tx: Tx,
    keys: Keys,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Annotated[Area | None, Query()] = None,
    status: Literal["open", "upheld", "dismissed"] | None = None,
    to_handle: bool | None = None,
) -> Page:
    """Objections in the reader's area, newest first, with their text; `to_handle`: upheld ones still to be looked into,
    or all others."""
    query = select(objections).where(reader.within(objections.c.area, area))
    if to_handle is not None:
        waits = objections.c.handle_by.is_not(None) & objections.c.handled_on.is_(None)
        query = query.where(waits if to_handle else ~waits)
    if status is not None:
        query = query.where(objections.c.status == status)
    found = rows(await tx.connection.execute(paging.cut(query, objections.c.objection_id, descending=True)))
    shown: list[dict[str, Any]] = []
    for row in found:
        sealed, period = row.pop("sealed_text"), row["period"]
        row["text"] = keys.sealer.open(sealed, "objections", row["objection_id"], "text")
        row["period"] = period and str(Period.of(period))
        shown.append(row)
    return paging.page(shown, "objection_id")


@api.post("/{objection_id}/decision")
async def decide_objection(
    objection_id: UUID, decision: Decision, tx: Tx, keys: Keys, official: CivilAffairs
) -> Decided:
    """Decided by somebody who neither filed it nor reviewed the application. Upheld, what was refused is reviewed again
    (a refused subsidy as `new_application_id`); a stop or a month waits for `handling` until `handle_by`."""
    on = business_today()
    await handlers.decide_objection(
        tx, keys, official, objection_id, outcome=decision.outcome, reason=decision.reason, on=on
    )
    return Decided(objection_id=objection_id, status=decision.outcome, decided_on=on)


@api.post("/{objection_id}/handling")
async def handle_objection(objection_id: UUID, handled: Handling, tx: Tx, official: CivilAffairs) -> Handled:
    """What civil affairs found, and put right where facts are kept, of an upheld objection against a stop or a month;
    409 when nothing of it waits."""
    on = business_today()
    await handlers.handle_objection(tx, official, objection_id, handling=handled.handling, on=on)
    return Handled(objection_id=objection_id, handled_on=on)

"""The calendar of duties: who has done their part of the month's comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official, Township
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import InvalidInput
from libs.common.period import BEGINNING, DutyDay, Period
from libs.common.web import Page, Paging, Tx, router
from services.matching.handlers import duties as handlers
from services.matching.handlers import plans
from services.matching.parameters import load_parameters
from services.matching.tables import escalations


def _period(period: Annotated[str, Query(examples=["2026-03"], max_length=7, description="YYYY-MM")]) -> Period:
    try:
        asked = Period.parse(period)
    except ValueError as error:
        raise InvalidInput.at("query.period", "应为月份，如 2026-03 (not a period, YYYY-MM)") from error
    if asked < Period.of(BEGINNING):
        raise InvalidInput.at(
            "query.period", f"早于两项补贴开始的 {BEGINNING} (lies before {BEGINNING}, when the two subsidies began)"
        )
    return asked


InPeriod = Annotated[Period, Depends(_period)]

api = router(prefix="/v1", tags=["duties"])


class NewSignoff(BaseModel):
    """`changes`: false is the signature under 无变化."""

    area: Area
    period: Period
    changes: bool


class Signoff(NewSignoff):
    signed_by: str
    signed_at: datetime


@api.post("/monthly-signoffs", status_code=201)
async def sign_off_month(body: NewSignoff, tx: Tx, township: Township) -> Signoff:
    township.require_area(body.area)
    signed = await handlers.sign_off_month(tx, body.area, body.period, changes=body.changes, principal=township)
    return Signoff.model_validate(signed)


class NewPlan(BaseModel):
    """A review to come. `override_reason`: why it may lie closer to the province's than a month (notice 3.8), or a
    province's outside its months."""

    kind: Literal["county", "prefecture", "province", "annual"]
    area: Area
    planned_on: DutyDay
    due_on: date | None = None
    override_reason: str | None = Field(default=None, min_length=1, max_length=500)


class Plan(BaseModel):
    """`overdue`: not done by `due_on`, as of today."""

    plan_id: UUID
    kind: str
    area: str
    planned_on: date
    due_on: date
    status: Literal["planned", "done"]
    overdue: bool
    override_reason: str | None
    comparison_id: UUID | None
    done_on: date | None


class Escalation(BaseModel):
    """Something overdue in `area`, raised to who sees to it; closed by itself when it is done."""

    escalation_id: UUID
    kind: Literal["finding", "monthly_part", "plan", "outreach", "proof_of_life"]
    subject: str
    area: str
    raised_to: str
    says: str
    due_on: date
    raised_on: date
    closed_on: date | None


@api.post("/duty-plans", status_code=201)
async def plan_duty(body: NewPlan, tx: Tx, official: CivilAffairs) -> Plan:
    """Puts a review into the calendar. A prefecture's within a month of the province's is refused."""
    official.require_area(body.area)
    row = await plans.plan_duty(
        tx, body.kind, body.area, body.planned_on, official, due_on=body.due_on, override_reason=body.override_reason
    )
    return _plan(row)


@api.get("/duty-plans")
async def list_plans(area: Area, tx: Tx, reader: Official, year: Annotated[int, Query(ge=2000, le=2100)]) -> Page:
    """The year's plans of the area, of what lies in it, and of what it lies in."""
    reader.require_area(area)
    return Page(items=[_plan(row) for row in await plans.list_plans(tx, area, year)])


@api.get("/annual-reviews")
async def read_annual_review(
    area: Area, tx: Tx, reader: Official, year: Annotated[int, Query(ge=2000, le=2100)]
) -> dict[str, Any]:
    """How many of the year's recipients its full reviews have covered, by county."""
    reader.require_area(area)
    return await plans.read_annual_review(tx, area, year)


@api.get("/escalations")
async def list_escalations(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    open: bool | None = None,
    kind: str | None = None,
) -> Page:
    """What is or was overdue (督办)."""
    query = select(escalations).where(reader.within(escalations.c.area, area))
    if open is not None:
        query = query.where(escalations.c.closed_on.is_(None) if open else escalations.c.closed_on.is_not(None))
    if kind is not None:
        query = query.where(escalations.c.kind == kind)
    found = rows(await tx.connection.execute(paging.cut(query, escalations.c.escalation_id, descending=True)))
    page = paging.page(found, "escalation_id")
    return Page(items=[Escalation.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@api.get("/parameters")
async def list_parameters(area: Area, reader: Official, tx: Tx, on: date | None = None) -> Page:
    """The days, months and ages that hold in the area on a day, each with its source."""
    return Page(items=[asdict(item) for item in (await load_parameters(tx)).all_in_force(area, on or business_today())])


def _plan(row: Mapping[str, Any]) -> Plan:
    return Plan.model_validate({**row, "overdue": row["status"] == "planned" and row["due_on"] < business_today()})


@api.get("/duties")
async def read_duties(area: Area, period: InPeriod, tx: Tx, reader: Official) -> dict[str, Any]:
    """Per county its three parts, each done or not; `missing` names who has not done theirs. Spot checks of archives
    (notice 5.3) are intake's part of the calendar: its `GET /v1/duties`."""
    reader.require_area(area)
    return await handlers.read_duties(tx, area, period)

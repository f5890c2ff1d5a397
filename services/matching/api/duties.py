"""The calendar of duties: who has done their part of the month's comparison."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel

from libs.common.areas import Area
from libs.common.auth import Official, Township
from libs.common.period import Period
from libs.common.web import Tx, router
from services.matching.handlers import duties as handlers


def _period(period: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-03"])]) -> Period:
    return Period.parse(period)


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


@api.get("/duties")
async def read_duties(area: Area, period: InPeriod, tx: Tx, reader: Official) -> dict[str, Any]:
    """Per county its three parts, each done or not; `missing` names who has not done theirs."""
    reader.require_area(area)
    return await handlers.read_duties(tx, area, period)

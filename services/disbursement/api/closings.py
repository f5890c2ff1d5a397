"""Closing months of the books over REST (结账)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, status
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import Finance, Official
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.period import Period
from libs.common.web import Page, Paging, Tx, router
from services.disbursement.api.periods import written
from services.disbursement.handlers.closings import close_month
from services.disbursement.tables import period_closings

api = router(prefix="/v1/period-closings", tags=["reconciliation"])


class NewClosing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    area: Area
    period: Period


@api.post("", status_code=status.HTTP_201_CREATED)
async def close(body: NewClosing, tx: Tx, finance: Finance) -> dict[str, Any]:
    """Closes a month of the books of an area: it is over, its cycles are closed and it reconciles clean (409 says what
    is not so). Nothing is booked into it afterwards; corrections go into the month that is open."""
    finance.require_area(body.area)
    closing: dict[str, Any] = written(await close_month(tx, finance, body.area, body.period, on=business_today()))
    return closing


@api.get("")
async def list_closings(
    tx: Tx, reader: Official, paging: Annotated[Paging, Depends()], area: Area | None = None
) -> Page:
    """Newest month first, with the balances of each book at its end."""
    closed = period_closings.c
    wanted = paging.cut(
        select(period_closings).where(reader.within(closed.area, area)), closed.period, closed.area, descending=True
    )
    return paging.page(written(rows(await tx.connection.execute(wanted))), "period", "area")

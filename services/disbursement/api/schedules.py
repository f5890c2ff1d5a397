"""When each county pays (notice 6.1): a day of every month; the daily run names who is late."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from libs.common import audit
from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official
from libs.common.database import Transaction, rows
from libs.common.period import Period
from libs.common.web import Page, Tx, router
from services.disbursement.queries import keeping_cases

api = router(prefix="/v1/payment-schedules", tags=["schedules"])


class Schedule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    area: Area
    pay_by_day: int = Field(ge=1, le=28, description="of the month that is paid for")


@api.post("", status_code=201)
async def set_schedule(body: Schedule, tx: Tx, civil_affairs: CivilAffairs) -> Schedule:
    """By which day of the month payments in the area are to be settled, where no nearer area has a day of its own; the
    newest word counts."""
    civil_affairs.require_area(body.area)
    await tx.connection.execute(
        text(
            "INSERT INTO payment_schedules (area, pay_by_day, set_by) VALUES (:area, :pay_by_day, :sub)"
            " ON CONFLICT (area) DO UPDATE SET pay_by_day = excluded.pay_by_day, set_by = excluded.set_by"
        ),
        body.model_dump() | {"sub": civil_affairs.sub},
    )
    await audit.record(tx, civil_affairs, "set payment schedule", body.area, pay_by_day=body.pay_by_day)
    return body


@api.get("")
async def list_schedules(tx: Tx, reader: Official) -> Page:
    found = await tx.connection.execute(
        text("SELECT area, pay_by_day, set_by FROM payment_schedules WHERE area LIKE :area || '%' ORDER BY area"),
        {"area": reader.area},
    )
    return Page(items=list(rows(found)))


async def alarm_late_payments(tx: Transaction, as_of: date) -> int:
    """Opens a case for each county whose pay day has passed, this month's or the last one's, and ends those of counties
    that have paid; how many it opened."""
    opened = 0
    for period in (Period.of(as_of).previous, Period.of(as_of)):
        scope: dict[str, Any] = {"as_of": as_of, "period": period.first_day, "kinds": ["payment_late"]}
        opened += (await tx.connection.execute(keeping_cases("late", "period"), scope)).scalar_one()
    return opened

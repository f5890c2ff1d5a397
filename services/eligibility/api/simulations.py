"""Trying a change of policy before anybody decides it: what it would cost, and who would gain or lose."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import column, select, table

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import Official, Principal, caller
from libs.common.database import rows
from libs.common.period import LAST_DAY, Period
from libs.common.web import Page, Paging, Tx, router
from services.eligibility.handlers.simulations import find_simulation, request_simulation
from services.eligibility.simulation import Change, Sums, report

api = router(prefix="/v1/simulations", tags=["simulations"])

SeesPersons = Annotated[Principal, Depends(caller("civil_affairs", "auditor"))]
"""Who may see which persons a change touches; others see the sums."""

_EFFECTS = table(
    "simulation_effects",
    *(column(name) for name in ("simulation_id", "person_id", "subsidy", "before_fen", "after_fen")),
)


class GivenChange(BaseModel):
    """One parameter with another value. `area` defaults to the simulation's, `since` to the first of its period."""

    name: str = Field(max_length=100)
    value: Any
    area: Area | None = None
    since: date | None = None


def _within_reach(period: Period) -> Period:
    if period > Period.of(LAST_DAY):
        raise ValueError(f"晚于 {LAST_DAY} (lies after {LAST_DAY})")
    return period


class Simulation(BaseModel):
    """What is to be tried: `changes` as a mapping of parameter to value, or as a list of `{name, value, …}`."""

    area: Area
    period: Annotated[Period, AfterValidator(_within_reach)]
    changes: dict[str, Any] | list[GivenChange] = Field(min_length=1, max_length=50)

    def listed(self) -> list[Change]:
        given = self.changes
        if isinstance(given, dict):
            given = [GivenChange(name=name, value=value) for name, value in given.items()]
        return [Change(c.name, c.value, c.area or self.area, c.since or self.period.first_day) for c in given]


@api.post("", status_code=202)
async def request(body: Simulation, tx: Tx, caller: Official) -> dict[str, Any]:
    """Starts a simulation of one month and the twelve from it on. Nothing that anybody is entitled to changes."""
    changes = body.listed()
    for area in {body.area, *(change.area for change in changes)}:
        caller.require_area(area)
    simulation_id = await request_simulation(tx, body.area, body.period, changes, caller.sub)
    await record(tx, caller, "simulate policy", str(simulation_id), area=body.area)
    return {"simulation_id": simulation_id, "status": "running"}


@api.get("/{simulation_id}")
async def show(simulation_id: UUID, tx: Tx, caller: Official) -> dict[str, Any]:
    """Persons and fen before and after: in all, by county, level and category; who gains, who loses; the forecast."""
    found = await find_simulation(tx, simulation_id)
    caller.require_sight(found.area, "simulation")
    return {
        "simulation_id": found.simulation_id,
        "status": "running" if found.finished_at is None else "finished",
        "area": found.area,
        "period": found.period,
        "changes": found.changes,
        "requested_at": found.requested_at,
        "finished_at": found.finished_at,
        **report(Sums() if found.sums is None else Sums.from_json(found.sums)),
    }


@api.get("/{simulation_id}/persons")
async def list_persons(
    simulation_id: UUID,
    tx: Tx,
    caller: SeesPersons,
    paging: Annotated[Paging, Depends()],
    effect: Annotated[Literal["gain", "lose"], Query()],
) -> Page:
    """Whom the change would give more, or less."""
    found = await find_simulation(tx, simulation_id)
    caller.require_sight(found.area, "simulation")
    columns = _EFFECTS.c
    touched = columns.after_fen > columns.before_fen if effect == "gain" else columns.after_fen < columns.before_fen
    query = select(columns.person_id, columns.subsidy, columns.before_fen, columns.after_fen).where(
        columns.simulation_id == simulation_id, touched
    )
    listed = rows(await tx.connection.execute(paging.cut(query, columns.person_id, columns.subsidy)))
    await record(tx, caller, "read simulation", str(simulation_id), effect=effect)
    return paging.page(listed, "person_id", "subsidy")

"""Planned reviews (notice 3): the province's of June and December, prefectures' own, and the yearly full one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import insert, or_, select, text, update

from libs.common.areas import Level, level_of
from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import Conflict, InvalidInput
from libs.common.period import Period
from services.matching.deadlines import too_close
from services.matching.parameters import load_parameters
from services.matching.tables import annual_coverage, duty_plans

_LEVELS: dict[str, Level] = {"county": "county", "prefecture": "prefecture", "province": "province"}


class TooCloseToTheProvince(InvalidInput):
    """A prefecture's review keeps at least a month from the province's."""

    type = "too-close-to-the-province"


class PlannedAlready(Conflict):
    """This review is planned for that day already."""

    type = "planned-already"


async def plan_duty(
    tx: Transaction,
    kind: str,
    area: str,
    planned_on: date,
    principal: Principal,
    *,
    due_on: date | None = None,
    override_reason: str | None = None,
) -> dict[str, Any]:
    """Puts a review into the calendar; it is due at the end of its month, a yearly one at the end of its year.

    InvalidInput for an area of another level, and for a province's review outside its months; TooCloseToTheProvince.
    An `override_reason` lets the last two pass, and is kept.
    """
    if kind in _LEVELS and level_of(area) != _LEVELS[kind]:
        raise InvalidInput.at("area", f"不是这一级的地区 (is no {kind})")
    if kind == "prefecture":
        await require_gap(tx, area, planned_on, path="planned_on", override_reason=override_reason)
    months = (await load_parameters(tx)).in_force("comparison.provincial_months", area, planned_on).value
    if kind == "province" and planned_on.month not in months and not override_reason:
        raise InvalidInput.at(
            "planned_on", f"省级比对在 {months} 月进行，见通知 3.7 (the province reviews in these months)"
        )
    due_on = due_on or (date(planned_on.year, 12, 31) if kind == "annual" else Period.of(planned_on).last_day)
    if due_on < planned_on:
        raise InvalidInput.at("due_on", "早于计划日期 (lies before planned_on)")
    same = (duty_plans.c.kind == kind) & (duty_plans.c.area == area) & (duty_plans.c.planned_on == planned_on)
    await tx.lock(f"duty plan:{area}")
    if (await tx.connection.execute(select(duty_plans.c.plan_id).where(same))).first() is not None:
        raise PlannedAlready(f"{kind} review of {area} on {planned_on}")
    row = {
        "plan_id": new_id(),
        "kind": kind,
        "area": area,
        "planned_on": planned_on,
        "due_on": due_on,
        "status": "planned",
        "override_reason": override_reason,
        "planned_by": principal.sub,
    }
    await tx.connection.execute(insert(duty_plans).values(**row))
    await record(
        tx, principal, "plan review", str(row["plan_id"]), reason=override_reason, kind=kind, area=area, on=planned_on
    )
    return {**row, "comparison_id": None, "done_on": None}


async def list_plans(tx: Transaction, area: str, year: int) -> Sequence[dict[str, Any]]:
    """The plans of a year for the area, for what lies in it and for what it lies in."""
    of_year = duty_plans.c.planned_on.between(date(year, 1, 1), date(year, 12, 31))
    around = [area[:length] for length in (2, 4, 6) if length <= len(area)]
    return rows(
        await tx.connection.execute(
            select(duty_plans)
            .where(of_year, or_(duty_plans.c.area.startswith(area), duty_plans.c.area.in_(around)))
            .order_by(duty_plans.c.planned_on, duty_plans.c.plan_id)
        )
    )


async def require_gap(tx: Transaction, area: str, on: date, *, path: str, override_reason: str | None) -> None:
    """TooCloseToTheProvince unless far enough from the province's reviews, or a reason is given (notice 3.8)."""
    if override_reason:
        return
    gap_months = (await load_parameters(tx)).number("comparison.prefecture_gap_months", area, on)
    near = too_close(on, await _provincial_times(tx, area[:2], on), gap_months)
    if near is not None:
        first, last = near
        times = f"{first}" if first == last else f"{first} – {last}"
        message = f"省级比对时间为 {times}，须间隔 {gap_months} 个月，否则写明理由 (too close to the province's review)"
        raise TooCloseToTheProvince(message, errors=[{"path": path, "message": message}])


async def note_review(tx: Transaction, run: Mapping[str, Any]) -> None:
    """A comparison was run: the plan that it fulfils is done, and a yearly one has covered its recipients."""
    as_of: date = run["as_of"]
    earliest = date(as_of.year, 1, 1)
    await tx.connection.execute(
        update(duty_plans)
        .where(
            duty_plans.c.kind == run["level"],
            duty_plans.c.area == run["area"],
            duty_plans.c.status == "planned",
            duty_plans.c.planned_on.between(earliest, Period.of(as_of).last_day),
        )
        .values(status="done", comparison_id=run["comparison_id"], done_on=as_of)
    )
    if run["level"] == "annual":
        await tx.connection.execute(
            _COVER, {"year": as_of.year, "area": run["area"], "comparison_id": run["comparison_id"], **_months(as_of)}
        )


async def read_annual_review(tx: Transaction, area: str, year: int) -> dict[str, Any]:
    """How many of a year's recipients its full reviews have covered, by county; who is left is to be reviewed."""
    found = rows(await tx.connection.execute(_COVERED, {"year": year, "area": area, **_months(date(year, 12, 31))}))
    total = {name: sum(item[name] for item in found) for name in ("recipients", "covered")}
    reviews = await tx.connection.execute(
        select(annual_coverage.c.comparison_id).where(annual_coverage.c.year == year).distinct()
    )
    return {
        "area": area,
        "year": year,
        **total,
        "uncovered": total["recipients"] - total["covered"],
        "done": total["covered"] == total["recipients"] > 0,
        "comparison_ids": list(reviews.scalars()),
        "items": [{**item, "uncovered": item["recipients"] - item["covered"]} for item in found],
    }


async def _provincial_times(tx: Transaction, province: str, on: date) -> tuple[tuple[date, date], ...]:
    """The province's reviews around a day: where a day is planned that day, otherwise the whole month."""
    found = await tx.connection.execute(
        select(duty_plans.c.planned_on).where(duty_plans.c.kind == "province", duty_plans.c.area == province)
    )
    planned = {Period.of(day): day for day in found.scalars()}
    months = [
        Period(year, month)
        for year in (on.year - 1, on.year, on.year + 1)
        for month in (await load_parameters(tx)).in_force("comparison.provincial_months", province, on).value
    ]
    whole = [(month.first_day, month.last_day) for month in months if month not in planned]
    return (*whole, *((day, day) for day in planned.values()))


def _months(day: date) -> dict[str, str]:
    return {"first": f"{day.year:04d}-01", "last": f"{day.year:04d}-12"}


_RECIPIENTS = """
    SELECT DISTINCT r.person_id, left(r.area, 6) AS area
    FROM roster r, jsonb_array_elements(r.schedule) AS span
    WHERE starts_with(r.area, :area) AND span ->> 'from' <= :last AND coalesce(span ->> 'to', '9999-12') >= :first
"""

_COVER = text(
    "INSERT INTO annual_coverage (year, person_id, comparison_id)"  # noqa: S608 (the service's own SQL)
    f" SELECT :year, person_id, CAST(:comparison_id AS uuid) FROM (SELECT DISTINCT person_id FROM ({_RECIPIENTS}) r) p"
    " ON CONFLICT DO NOTHING"
)

_COVERED = text(
    "SELECT r.area, count(DISTINCT r.person_id) AS recipients, count(DISTINCT c.person_id) AS covered"  # noqa: S608
    f" FROM ({_RECIPIENTS}) r LEFT JOIN annual_coverage c ON c.person_id = r.person_id AND c.year = :year"
    " GROUP BY r.area ORDER BY r.area"
)

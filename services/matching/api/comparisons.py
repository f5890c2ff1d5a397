"""Comparisons and their ledgers."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, Field
from sqlalchemy import select, text

from libs.common.areas import Area, level_of
from libs.common.audit import record
from libs.common.auth import CivilAffairs, Official, Principal, caller
from libs.common.database import rows
from libs.common.errors import InvalidInput
from libs.common.period import DutyDay, Period
from libs.common.web import Page, Paging, Tx, router
from services.matching.api.parts import PartsOf
from services.matching.handlers import comparisons as handlers
from services.matching.handlers import plans
from services.matching.tables import comparisons

api = router(prefix="/v1/comparisons", tags=["comparisons"])

Reader = Annotated[Principal, Depends(caller("township", "cdpf", "civil_affairs", "auditor", "admin"))]


class NewComparison(BaseModel):
    """`override_reason`: why a prefecture's may lie closer to the province's than a month (notice 3.8)."""

    level: Literal["county", "prefecture", "province", "annual"]
    area: Area
    as_of: DutyDay
    override_reason: str | None = Field(default=None, min_length=1, max_length=500)


class Counts(BaseModel):
    compared: int
    findings: int
    by_kind: dict[str, int]


class Input(BaseModel):
    """`use`: `rows`; `snapshot`, the whole of its source and area; `before`, the snapshot that one is set against."""

    source: str
    feed_id: UUID
    digest: str
    as_of: date
    use: Literal["rows", "snapshot", "before"]


class Comparison(BaseModel):
    """`findings` counts those newly opened. `digest` is the ledger's hash when the run had ended. `leads` is all that
    was found, `noted` how far it has come to findings. `missing` names the sources of which there was no feed, `stale`
    those of which there was none of that month."""

    comparison_id: UUID
    level: str
    area: str
    as_of: date
    status: Literal["running", "completed", "failed"]
    counts: Counts
    inputs: list[Input]
    missing: list[str]
    stale: list[str]
    leads: int
    noted: int
    discrepancies: int
    digest: str | None
    failure: str | None


@api.post("", status_code=201)
async def start_comparison(
    body: NewComparison, tx: Tx, official: CivilAffairs, parts: PartsOf, response: Response
) -> Comparison:
    """Compares the roster with whatever feeds there are up to `as_of`. A large one is `running` (202), to be read until
    it is `completed`."""
    official.require_area(body.area)
    if body.level != "annual" and level_of(body.area) != body.level:
        raise InvalidInput.at("area", f"不是这一级的地区 (is no {body.level})")
    if body.level == "prefecture":
        await plans.require_gap(tx, body.area, body.as_of, path="as_of", override_reason=body.override_reason)
    order = handlers.Order(body.level, body.area, body.as_of)
    run = await handlers.run_comparison(tx, order, parts.workshop, official)
    if run["status"] == "running":
        response.status_code = 202
        parts.comparisons.ordered.set()
    if body.override_reason:
        await record(tx, official, "override distance", str(run["comparison_id"]), reason=body.override_reason)
    return _shown(run)


@api.get("/{comparison_id}/counties")
async def read_counties(comparison_id: UUID, tx: Tx, reader: Official) -> Page:
    """What a run found, as pushed to each county: how many, how many of them are verified or overdue, and by when."""
    await handlers.read_comparison(tx, comparison_id, reader)
    found = await tx.connection.execute(_BY_COUNTY, {"comparison_id": comparison_id})
    return Page(items=[dict(row._mapping) for row in found])


_BY_COUNTY = text(
    """
    SELECT left(area, 6) AS area, count(*) AS findings, count(*) FILTER (WHERE status <> 'open') AS verified,
        count(*) FILTER (WHERE status = 'confirmed') AS confirmed,
        count(*) FILTER (WHERE status = 'open' AND overdue_since IS NOT NULL) AS overdue, max(due_on) AS due_on
    FROM findings WHERE comparison_id = :comparison_id GROUP BY 1 ORDER BY 1
    """
)


@api.get("")
async def list_comparisons(
    tx: Tx, reader: Reader, paging: Annotated[Paging, Depends()], area: Area | None = None
) -> Page:
    query = select(comparisons).where(reader.within(comparisons.c.area, area))
    found = rows(await tx.connection.execute(paging.cut(query, comparisons.c.comparison_id, descending=True)))
    page = paging.page(found, "comparison_id")
    return Page(items=[_shown(row) for row in page.items], next_cursor=page.next_cursor)


@api.get("/{comparison_id}")
async def read_comparison(comparison_id: UUID, tx: Tx, reader: Official) -> Comparison:
    return _shown(await handlers.read_comparison(tx, comparison_id, reader))


def _shown(row: dict[str, Any]) -> Comparison:
    newest: dict[str, date] = {}
    for item in row["inputs"]:
        newest[item["source"]] = max(newest.get(item["source"], date.min), date.fromisoformat(item["as_of"]))
    stale = sorted(source for source, as_of in newest.items() if as_of < Period.of(row["as_of"]).first_day)
    return Comparison.model_validate({**row, "counts": row, "stale": stale})

"""Comparisons and their ledgers."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from sqlalchemy import select

from libs.common.areas import Area, level_of
from libs.common.auth import CivilAffairs, Official, Principal, caller
from libs.common.database import rows
from libs.common.errors import InvalidInput
from libs.common.web import Page, Paging, Tx, router
from services.matching.api.parts import PartsOf
from services.matching.handlers import comparisons as handlers
from services.matching.handlers.ledgers import export_ledger
from services.matching.tables import comparisons

api = router(prefix="/v1/comparisons", tags=["comparisons"])

Reader = Annotated[Principal, Depends(caller("township", "cdpf", "civil_affairs", "auditor", "admin"))]


class NewComparison(BaseModel):
    level: Literal["county", "prefecture", "province", "annual"]
    area: Area
    as_of: date


class Counts(BaseModel):
    compared: int
    findings: int
    by_kind: dict[str, int]


class Input(BaseModel):
    source: str
    feed_id: UUID
    digest: str


class Comparison(BaseModel):
    """`findings` counts those newly opened. `digest` is the ledger's hash when the run had ended."""

    comparison_id: UUID
    level: str
    area: str
    as_of: date
    status: Literal["completed"]
    counts: Counts
    inputs: list[Input]
    missing: list[str]
    digest: str


@api.post("", status_code=201)
async def start_comparison(body: NewComparison, tx: Tx, official: CivilAffairs, parts: PartsOf) -> Comparison:
    """Compares the roster with whatever feeds there are up to `as_of`."""
    official.require_area(body.area)
    if body.level != "annual" and level_of(body.area) != body.level:
        raise InvalidInput.at("area", f"is no {body.level}")
    order = handlers.Order(body.level, body.area, body.as_of)
    return _shown(await handlers.run_comparison(tx, order, parts.folder, parts.keys.sealer, official))


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


@api.get("/{comparison_id}/ledger", response_class=PlainTextResponse)
async def read_ledger(comparison_id: UUID, tx: Tx, reader: Reader) -> PlainTextResponse:
    """NDJSON, one entry a line: `hash` is SM3 of the hash before it, a line feed, and the text of `entry`."""
    await handlers.read_comparison(tx, comparison_id, reader)
    return PlainTextResponse(await export_ledger(tx, comparison_id), media_type="application/x-ndjson")


def _shown(row: dict[str, Any]) -> Comparison:
    return Comparison.model_validate({**row, "counts": row})

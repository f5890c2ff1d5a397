"""Discrepancies between sources: listed with their evidence, and resolved by a person."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, Field
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import Official, Principal, caller
from libs.common.database import rows
from libs.common.web import Page, Paging, Tx, router
from services.matching.handlers import discrepancies as handlers
from services.matching.tables import discrepancies

api = router(prefix="/v1/discrepancies", tags=["discrepancies"])

Resolver = Annotated[Principal, Depends(caller("township", "cdpf", "civil_affairs"))]


class Discrepancy(BaseModel):
    """`other_name`: one ID with two names (同号异名). `other_id`: one name with two IDs (同名异号). `two_dates`: one
    event with two days (同事异日). `evidence` are the two sources, each with its feed and row. It stops nothing."""

    discrepancy_id: UUID
    comparison_id: UUID
    person_id: str
    kind: Literal["other_name", "other_id", "two_dates"]
    area: str
    status: Literal["open", "resolved"]
    evidence: list[dict[str, Any]]
    noted_on: date
    note: str | None
    resolved_by: str | None


class Resolution(BaseModel):
    """What was found out."""

    note: str = Field(min_length=1, max_length=2000)


@api.get("")
async def list_discrepancies(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    kind: Literal["other_name", "other_id", "two_dates"] | None = None,
    status: Literal["open", "resolved"] | None = None,
) -> Page:
    query = select(discrepancies).where(reader.within(discrepancies.c.area, area))
    for column, value in ((discrepancies.c.kind, kind), (discrepancies.c.status, status)):
        if value is not None:
            query = query.where(column == value)
    found = rows(await tx.connection.execute(paging.cut(query, discrepancies.c.discrepancy_id)))
    page = paging.page(found, "discrepancy_id")
    return Page(items=[Discrepancy.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@api.post("/{discrepancy_id}/resolution", status_code=200)
async def resolve(discrepancy_id: UUID, body: Resolution, tx: Tx, resolver: Resolver) -> Discrepancy:
    """Says which source is right; the sources correct their own registers."""
    return Discrepancy.model_validate(await handlers.resolve_discrepancy(tx, discrepancy_id, body.note, resolver))

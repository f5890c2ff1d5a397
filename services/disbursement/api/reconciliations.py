"""Reconciliation and cases over REST (notice 4.1)."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from sqlalchemy import or_, select

from libs.common import audit
from libs.common.areas import Area
from libs.common.auth import Official, Principal, authenticate, caller
from libs.common.clock import business_today
from libs.common.database import Database, rows
from libs.common.errors import Unavailable
from libs.common.period import Period
from libs.common.web import Page, Paging, Tx, router
from services.disbursement.api.periods import written
from services.disbursement.bank import OutcomeUnknown
from services.disbursement.handlers.cases import resolve_case
from services.disbursement.handlers.reconciliation import batches_of, cycles_in, reconcile
from services.disbursement.handlers.statements import read_statements
from services.disbursement.tables import cases

bank_side = APIRouter(prefix="/v1", tags=["reconciliation"])
"""Asks the bank, so it has no transaction around it."""

api = router(prefix="/v1", tags=["reconciliation"])

Reconciler = Annotated[Principal, Depends(caller("finance", "civil_affairs"))]


class NewReconciliation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    area: Area
    period: Period


class Resolution(BaseModel):
    resolution: str = Field(
        min_length=1,
        max_length=1000,
        validation_alias=AliasChoices("resolution", "note"),
        description="what came of it",
    )


def _token(request: Request) -> None:
    authenticate(request)


@bank_side.post("/reconciliations", status_code=201, dependencies=[Depends(_token)])
async def run_reconciliation(body: NewReconciliation, request: Request, reconciler: Reconciler) -> dict[str, Any]:
    """Reads the bank's statements of that period's cycles, compares everything, and gives the differences by kind."""
    reconciler.require_area(body.area)
    database: Database = request.app.state.database
    async with database.transaction() as tx:
        batch_ids = await batches_of(tx, await cycles_in(tx, body.area, body.period))
    try:
        await read_statements(database, request.app.state.bank, batch_ids, on=business_today())
    except OutcomeUnknown as error:
        raise Unavailable("the bank does not answer; nothing was compared") from error
    async with database.transaction() as tx:
        found = await reconcile(tx, body.area, body.period)
        await audit.record(tx, reconciler, "reconcile", body.area, period=str(body.period), differences=len(found))
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in found:
        by_kind[case["kind"]].append(written(case))
    return {"area": body.area, "period": str(body.period), "clean": not found, "differences": by_kind}


@api.get("/cases")
async def list_cases(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    kind: str | None = None,
    resolved: bool | None = None,
) -> Page:
    """Newest first; those that belong to no area are everybody's."""
    wanted = select(cases).where(or_(reader.within(cases.c.area, area), cases.c.area == ""))
    if kind is not None:
        wanted = wanted.where(cases.c.kind == kind)
    if resolved is not None:
        wanted = wanted.where(cases.c.resolved_at.is_not(None) if resolved else cases.c.resolved_at.is_(None))
    cut = paging.cut(wanted, cases.c.case_id, descending=True)
    return paging.page(written(rows(await tx.connection.execute(cut))), "case_id")


@api.post("/cases/{case_id}/resolution")
async def resolve(case_id: UUID, body: Resolution, tx: Tx, resolver: Reconciler) -> dict[str, Any]:
    """Says what came of a case."""
    await resolve_case(tx, resolver, case_id, body.resolution)
    return {"case_id": case_id, "status": "resolved", "resolution": body.resolution}

"""Reconciliation and cases over REST (notice 4.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
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
from services.disbursement.api.periods import MaybePeriod, written
from services.disbursement.bank import OutcomeUnknown
from services.disbursement.case_kinds import kind_of
from services.disbursement.handlers.cases import assign_case, resolve_case
from services.disbursement.handlers.certificates import certify, check
from services.disbursement.handlers.reconciliation import batches_of, cycles_in, reconcile
from services.disbursement.handlers.statements import read_statements
from services.disbursement.tables import cases, reconciliations

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


class Assignment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=1, max_length=100, description="who sees to it")
    due_on: date
    demand: str | None = Field(default=None, min_length=1, max_length=1000)


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
        by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for case in await reconcile(tx, body.area, body.period):
            by_kind[case["kind"]].append(_shown(case, business_today()))
        counts = {kind: len(found) for kind, found in by_kind.items()}
        kept = await certify(tx, body.area, body.period, counts, run_by=reconciler.sub)
        await audit.record(tx, reconciler, "reconcile", body.area, period=str(body.period), digest=kept["digest"])
    return {"area": body.area, "period": str(body.period), "differences": by_kind, **kept}


@api.get("/reconciliations")
async def list_reconciliations(
    tx: Tx, reader: Official, paging: Annotated[Paging, Depends()], period: MaybePeriod, area: Area | None = None
) -> Page:
    """What reconciliations found, with the figures of every side; newest first."""
    wanted = select(reconciliations).where(reader.within(reconciliations.c.area, area))
    if period is not None:
        wanted = wanted.where(reconciliations.c.period == period)
    cut = paging.cut(wanted, reconciliations.c.reconciliation_id, descending=True)
    return paging.page(written(rows(await tx.connection.execute(cut))), "reconciliation_id")


@api.get("/reconciliations/{reconciliation_id}")
async def check_reconciliation(reconciliation_id: UUID, tx: Tx, reader: Official) -> dict[str, Any]:
    """One of them, whether it is intact, and whether every side still says the same."""
    kept: dict[str, Any] = written(await check(tx, reconciliation_id))
    reader.require_sight(kept["area"], "reconciliation")
    return kept


@api.get("/cases")
async def list_cases(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    period: MaybePeriod,
    area: Area | None = None,
    kind: str | None = None,
    resolved: bool | None = None,
    overdue: bool | None = None,
) -> Page:
    """Newest first, with owner, state and deadline; those that belong to no area are everybody's."""
    wanted = select(cases).where(or_(reader.within(cases.c.area, area), cases.c.area == ""))
    if period is not None:
        wanted = wanted.where(cases.c.period == period)
    if kind is not None:
        wanted = wanted.where(cases.c.kind == kind)
    if resolved is not None:
        wanted = wanted.where(cases.c.resolved_at.is_not(None) if resolved else cases.c.resolved_at.is_(None))
    today = business_today()
    if overdue is not None:
        late = cases.c.resolved_at.is_(None) & (cases.c.due_on < today)
        wanted = wanted.where(late if overdue else ~late)
    cut = paging.cut(wanted, cases.c.case_id, descending=True)
    page = paging.page(rows(await tx.connection.execute(cut)), "case_id")
    page.items = [_shown(case, today) for case in page.items]
    return page


@api.post("/cases/{case_id}/assignment")
async def assign(case_id: UUID, body: Assignment, tx: Tx, assigner: Reconciler) -> dict[str, Any]:
    """Names who sees to a case and by when (from an office above: 督办)."""
    await assign_case(tx, assigner, case_id, to=body.to, due_on=body.due_on, demand=body.demand)
    return {"case_id": case_id, "status": "assigned", **body.model_dump(mode="json")}


@api.post("/cases/{case_id}/resolution")
async def resolve(case_id: UUID, body: Resolution, tx: Tx, resolver: Reconciler) -> dict[str, Any]:
    """Says what came of a case (销号)."""
    await resolve_case(tx, resolver, case_id, body.resolution)
    return {"case_id": case_id, "status": "resolved", "resolution": body.resolution}


def _shown(case: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The case with its kind's name, its owner and its state."""
    kind = kind_of(case["kind"])
    assigned = case["assigned_to"] is not None
    return {
        **written(dict(case)),
        "kind_name": kind.name,
        "owner": case["assigned_to"] or kind.owner,
        "remedy": kind.remedy,
        "status": "resolved" if case["resolved_at"] else "assigned" if assigned else "open",
        "overdue": case["resolved_at"] is None and case["due_on"] < today,
        "supervised": assigned and len(case["assigned_from"]) < len(case["area"]),
    }

"""Recoveries over REST (notice 7.1)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, text

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Finance, Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.errors import InvalidInput
from libs.common.money import Fen
from libs.common.period import Period
from libs.common.vocabulary import Subsidy
from libs.common.web import Page, Paging, Tx, router
from services.disbursement.api.periods import written
from services.disbursement.handlers import decisions
from services.disbursement.handlers import recoveries as handlers
from services.disbursement.handlers.decisions import Cause, Source
from services.disbursement.handlers.overpayments import list_cases, load
from services.disbursement.queries import query
from services.disbursement.tables import recoveries
from services.disbursement.words import cause_text

api = router(prefix="/v1/recoveries", tags=["recoveries"])
statistics = router(prefix="/v1", tags=["recoveries"])

Proposer = Annotated[Principal, Depends(caller("civil_affairs", "finance"))]


class Instalment(BaseModel):
    due_on: date
    amount_fen: Fen = Field(gt=0)


class Plan(BaseModel):
    """How it is to be repaid; what else is said is kept. Instalments cover what is outstanding, unless a share is set
    off, which needs consent or a written decision. Without `method` a share is set off, and anything else repaid."""

    model_config = ConfigDict(extra="allow")

    instalments: list[Instalment] = Field(default=[], max_length=120)
    method: Literal["repayment", "offset", "estate"] | None = None
    consent: str | None = Field(default=None, max_length=200, description="document of the person's consent")
    decision: str | None = Field(default=None, max_length=200, description="number of the written decision")
    offset_percent: int = Field(default=0, ge=0, le=90, description="share of each later payment that is set off")
    note: str | None = Field(default=None, max_length=1000)


class ClaimedMonth(BaseModel):
    period: Period
    amount_fen: Fen | None = Field(default=None, gt=0, description="all that was paid for it, if not given")


class NewRecovery(BaseModel):
    """Opened by tip-off or by hand: a decision that what was paid for these months was not due."""

    model_config = ConfigDict(extra="forbid")

    person_id: str = Field(min_length=1, max_length=100)
    subsidy: Subsidy
    cause: Cause
    source: Source = "other"
    reason: str = Field(min_length=1, max_length=1000, description="the decision, with its document")
    months: list[ClaimedMonth | Period] = Field(min_length=1, max_length=240)


class Because(BaseModel):
    reason: str = Field(min_length=1, max_length=1000)


class Repayment(BaseModel):
    amount_fen: Fen = Field(gt=0)
    repaid_on: date | None = None
    document_no: str | None = Field(
        default=None, min_length=1, max_length=100, description="receipt or treasury voucher (缴款书)"
    )


class WriteOff(BaseModel):
    amount_fen: Fen | None = Field(default=None, gt=0, description="all that is outstanding, if not given")
    reason: str = Field(min_length=1, max_length=1000)


@api.get("")
async def list_recoveries(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    status: Literal["open", "closed"] | None = None,
    person_id: str | None = None,
) -> Page:
    """Cases with their months, newest first."""
    wanted = select(recoveries.c.recovery_id).where(reader.within(recoveries.c.area, area))
    if status is not None:
        wanted = wanted.where(recoveries.c.status == status)
    if person_id is not None:
        wanted = wanted.where(recoveries.c.person_id == person_id)
    found = rows(await tx.connection.execute(paging.cut(wanted, recoveries.c.recovery_id, descending=True)))
    page = paging.page(found, "recovery_id")
    found = written(await list_cases(tx, [row["recovery_id"] for row in page.items]))
    page.items = [case | {"says": cause_text(case["cause"])} for case in found]
    return page


@api.post("", status_code=status.HTTP_201_CREATED)
async def open_recovery(body: NewRecovery, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """Claims months back by decision (虚报、隐瞒、伪造, a late report, an error). 422 for months that were not paid."""
    months = {
        month.period if isinstance(month, ClaimedMonth) else month: getattr(month, "amount_fen", None)
        for month in body.months
    }
    recovery_id = await decisions.open_recovery(
        tx,
        civil_affairs,
        body.person_id,
        body.subsidy,
        months,
        cause=body.cause,
        source=body.source,
        reason=body.reason,
        on=business_today(),
    )
    return await _shown(tx, recovery_id)


@api.post("/{recovery_id}/withdrawal")
async def withdraw(recovery_id: UUID, body: Because, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """The decision does not stand: what it claimed is due, and what was repaid is owed to the person again."""
    await decisions.withdraw_decision(tx, civil_affairs, recovery_id, reason=body.reason, on=business_today())
    return await _shown(tx, recovery_id)


@statistics.get("/recovery-statistics")
async def read_recovery_statistics(
    area: Area, tx: Tx, reader: Official, year: Annotated[int | None, Query(ge=2000, le=2200)] = None
) -> Page:
    """By cause, of the cases opened in a year (or ever): what is claimed, recovered (of it set off), written off and
    open, in fen."""
    reader.require_area(area)
    found = await tx.connection.execute(query("recovery_statistics"), {"area": area, "year": year})
    return Page(items=list(rows(found)))


@api.get("/{recovery_id}")
async def read_recovery(recovery_id: UUID, tx: Tx, reader: Official) -> dict[str, Any]:
    """The case with its months, repayments and write-offs."""
    case = await _shown(tx, recovery_id)
    reader.require_sight(case["area"], "recovery")
    for name, order in (("repayments", "recorded_at"), ("write_offs", "proposed_at")):
        found = await tx.connection.execute(
            text(f"SELECT * FROM {name} WHERE recovery_id = :id ORDER BY {order}"),  # noqa: S608 (of two tables)
            {"id": recovery_id},
        )
        case[name] = rows(found)
    return case


@api.post("/{recovery_id}/plan")
async def plan(recovery_id: UUID, body: Plan, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    method = body.method or ("offset" if body.offset_percent else "repayment")
    if body.offset_percent and method != "offset":
        raise InvalidInput.at("offset_percent", "只有抵扣方式才有抵扣比例 (only an offset has a share)")
    await handlers.plan_recovery(
        tx,
        civil_affairs,
        recovery_id,
        body.model_dump(mode="json") | {"method": method},
        offset_percent=body.offset_percent,
        offset_basis=body.consent or body.decision,
    )
    return await _shown(tx, recovery_id)


@api.post("/{recovery_id}/repayments", status_code=status.HTTP_201_CREATED)
async def repay(recovery_id: UUID, body: Repayment, tx: Tx, finance: Finance) -> dict[str, Any]:
    """Money that came back: it goes to the treasury (缴回). A document counts once."""
    repayment_id = await handlers.record_repayment(
        tx,
        finance,
        recovery_id,
        amount_fen=body.amount_fen,
        repaid_on=body.repaid_on or business_today(),
        document_no=body.document_no,
    )
    return {"repayment_id": repayment_id, **await _shown(tx, recovery_id)}


@api.post("/{recovery_id}/write-off", status_code=status.HTTP_201_CREATED)
async def propose_write_off(recovery_id: UUID, body: WriteOff, tx: Tx, proposer: Proposer) -> dict[str, Any]:
    """Proposes to give up what is outstanding."""
    write_off_id = await handlers.propose_write_off(
        tx, proposer, recovery_id, amount_fen=body.amount_fen, reason=body.reason
    )
    return {"write_off_id": write_off_id, "recovery_id": recovery_id, "status": "proposed"}


@api.post("/{recovery_id}/write-off/approval")
async def approve_write_off(recovery_id: UUID, tx: Tx, finance: Finance) -> dict[str, Any]:
    """Finance approves, and another person than proposed it."""
    await handlers.approve_write_off(tx, finance, recovery_id, on=business_today())
    return await _shown(tx, recovery_id)


@api.post("/{recovery_id}/write-off/refusal")
async def refuse_write_off(recovery_id: UUID, body: Because, tx: Tx, finance: Finance) -> dict[str, Any]:
    """Finance refuses what was proposed; another amount may be proposed."""
    await handlers.refuse_write_off(tx, finance, recovery_id, reason=body.reason)
    return await _shown(tx, recovery_id)


async def _shown(tx: Transaction, recovery_id: UUID) -> dict[str, Any]:
    case: dict[str, Any] = written(await load(tx, recovery_id))
    return case | {"says": cause_text(case["cause"])}

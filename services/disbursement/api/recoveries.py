"""Recoveries over REST (notice 7.1)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Finance, Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.web import Page, Paging, Tx, router
from services.disbursement.api.periods import written
from services.disbursement.handlers import recoveries as handlers
from services.disbursement.handlers.overpayments import list_cases, load
from services.disbursement.tables import recoveries

api = router(prefix="/v1/recoveries", tags=["recoveries"])

Proposer = Annotated[Principal, Depends(caller("civil_affairs", "finance"))]


class Instalment(BaseModel):
    due_on: date
    amount_fen: int = Field(gt=0)


class Plan(BaseModel):
    """How it is to be repaid; what else is said is kept. Offset needs consent or a written decision."""

    model_config = ConfigDict(extra="allow")

    instalments: list[Instalment] = Field(default=[], max_length=120)
    method: Literal["repayment", "offset"] = "repayment"
    consent: str | None = Field(default=None, max_length=200, description="document of consent or decision")
    note: str | None = Field(default=None, max_length=1000)


class Repayment(BaseModel):
    amount_fen: int = Field(gt=0)
    repaid_on: date | None = None
    document_no: str | None = Field(
        default=None, min_length=1, max_length=100, description="receipt or treasury voucher (缴款书)"
    )


class WriteOff(BaseModel):
    amount_fen: int | None = Field(default=None, gt=0, description="all that is outstanding, if not given")
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
    page.items = written(await list_cases(tx, [row["recovery_id"] for row in page.items]))
    return page


@api.get("/{recovery_id}")
async def read_recovery(recovery_id: UUID, tx: Tx, reader: Official) -> dict[str, Any]:
    case = await _shown(tx, recovery_id)
    reader.require_sight(case["area"], "recovery")
    return case


@api.post("/{recovery_id}/plan")
async def plan(recovery_id: UUID, body: Plan, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    await handlers.plan_recovery(tx, civil_affairs, recovery_id, body.model_dump(mode="json"))
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


async def _shown(tx: Transaction, recovery_id: UUID) -> dict[str, Any]:
    case: dict[str, Any] = written(await load(tx, recovery_id))
    return case

"""Heirs over REST: whom what is due to a dead person is paid to."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import case, select

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official, Principal, caller
from libs.common.database import rows
from libs.common.identity import mask_name
from libs.common.web import Page, Paging, Tx, router
from services.disbursement.handlers import heirs as handlers
from services.disbursement.tables import heirs, payees

api = router(prefix="/v1", tags=["heirs"])

HeirStatus = Literal["awaited", "proposed", "approved", "ending", "replaced"]
_standing = case(
    (heirs.c.replaced_at.is_not(None), "replaced"),
    (heirs.c.number_last4.is_(None), "awaited"),
    (heirs.c.approved_at.is_(None), "proposed"),
    (heirs.c.end_proposed_by.is_not(None), "ending"),
    else_="approved",
)

Proposer = Annotated[Principal, Depends(caller("township", "civil_affairs"))]


class NewHeir(BaseModel):
    model_config = ConfigDict(extra="forbid")

    relation: str = Field(min_length=1, max_length=50)
    name: str = Field(min_length=1, max_length=100)
    bank: str = Field(min_length=1, max_length=100)
    number: str = Field(min_length=8, max_length=34)
    phone: str | None = Field(default=None, max_length=20)
    document_no: str = Field(min_length=1, max_length=100, description="the document that proves the inheritance")


class Because(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=1000, description="with the document that says so")


@api.get("/heirs")
async def list_heirs(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    request: Request,
    area: Area | None = None,
    heir_status: Annotated[HeirStatus | None, Query(alias="status")] = None,
) -> Page:
    """Heirs of an area's dead, the newest first; `awaited`: due to somebody who died before the approval, and nobody
    has proved to be the heir; `ending`: in force, until a second person approves its end."""
    wanted = (
        select(heirs, payees.c.area, _standing.label("status"))
        .join(payees, payees.c.person_id == heirs.c.person_id)
        .where(reader.within(payees.c.area, area))
    )
    if heir_status:
        wanted = wanted.where(_standing == heir_status)
    found = rows(await tx.connection.execute(paging.cut(wanted, heirs.c.heir_id, descending=True)))
    names = handlers.names_of(found, request.app.state.sealer)
    if reader.role == "auditor":
        names = {heir_id: mask_name(name) for heir_id, name in names.items()}
    return paging.page([row | {"holder_name": names.get(row["heir_id"])} for row in found], "heir_id")


@api.post("/persons/{person_id}/heir", status_code=status.HTTP_202_ACCEPTED)
async def propose(person_id: str, body: NewHeir, tx: Tx, proposer: Proposer, request: Request) -> dict[str, Any]:
    """Proposes whom to pay what is due to a person whose death is known; a second person approves."""
    heir = handlers.Heir(**body.model_dump())
    heir_id = await handlers.propose_heir(tx, proposer, request.app.state.sealer, person_id, heir)
    return {"heir_id": heir_id, "person_id": person_id, "status": "pending"}


@api.post("/heirs/{heir_id}/approval")
async def approve(heir_id: UUID, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    return await handlers.approve_heir(tx, civil_affairs, heir_id)


@api.post("/heirs/{heir_id}/ending", status_code=status.HTTP_202_ACCEPTED)
async def propose_end(heir_id: UUID, body: Because, tx: Tx, proposer: Proposer) -> dict[str, Any]:
    """Proposes that an heir is none any more; a second person approves. One that is only proposed ends at once."""
    return await handlers.propose_end(tx, proposer, heir_id, reason=body.reason)


@api.post("/heirs/{heir_id}/ending/approval")
async def approve_end(heir_id: UUID, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """From now on nothing is paid to this heir."""
    return await handlers.approve_end(tx, civil_affairs, heir_id)


@api.post("/heirs/{heir_id}/ending/refusal")
async def refuse_end(heir_id: UUID, body: Because, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """The heir stays one."""
    return await handlers.refuse_end(tx, civil_affairs, heir_id, reason=body.reason)

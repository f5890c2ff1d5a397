"""Heirs over REST: whom what is due to a dead person is paid to."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, status
from pydantic import BaseModel, ConfigDict, Field

from libs.common.auth import CivilAffairs, Principal, caller
from libs.common.web import Tx, router
from services.disbursement.handlers import heirs as handlers

api = router(prefix="/v1", tags=["heirs"])

Proposer = Annotated[Principal, Depends(caller("township", "civil_affairs"))]


class NewHeir(BaseModel):
    model_config = ConfigDict(extra="forbid")

    relation: str = Field(min_length=1, max_length=50)
    name: str = Field(min_length=1, max_length=100)
    bank: str = Field(min_length=1, max_length=100)
    number: str = Field(min_length=8, max_length=34)
    phone: str | None = Field(default=None, max_length=20)
    document_no: str = Field(min_length=1, max_length=100, description="the document that proves the inheritance")


@api.post("/persons/{person_id}/heir", status_code=status.HTTP_202_ACCEPTED)
async def propose(person_id: str, body: NewHeir, tx: Tx, proposer: Proposer, request: Request) -> dict[str, Any]:
    """Proposes whom to pay what is due to a person whose death is known; a second person approves."""
    heir = handlers.Heir(**body.model_dump())
    heir_id = await handlers.propose_heir(tx, proposer, request.app.state.sealer, person_id, heir)
    return {"heir_id": heir_id, "person_id": person_id, "status": "pending"}


@api.post("/heirs/{heir_id}/approval")
async def approve(heir_id: UUID, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    return await handlers.approve_heir(tx, civil_affairs, heir_id)

"""Proofs of life: the list of who is due, and what came of each."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, Field
from sqlalchemy import case, select

from libs.common.areas import Area
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import InvalidInput
from libs.common.web import Page, Paging, Tx, router
from services.matching.handlers import proofs as handlers
from services.matching.tables import proofs_of_life

api = router(prefix="/v1/proofs-of-life", tags=["proofs of life"])

Verifier = Annotated[Principal, Depends(caller("township", "civil_affairs"))]


class Proof(BaseModel):
    """`last_sign_on`: when the person was last seen or dealt with. `late_after`: raised as overdue from then on.
    `tried`: every attempt so far."""

    proof_id: UUID
    person_id: str
    area: str
    status: Literal["open", "done"]
    risk: Literal["high", "normal"]
    because: Literal["interval", "age", "earlier_lead", "not_seen"]
    last_sign_on: date
    due_on: date
    late_after: date
    attempts: int
    tried: list[dict[str, Any]]
    outcome: Literal["alive", "dead", "missing", "stopped"] | None
    method: str | None
    proved_on: date | None
    finding_id: UUID | None


class NewProof(BaseModel):
    """What one attempt came to; `on` is today by default."""

    method: Literal["visit", "video", "face", "phone", "document"]
    outcome: Literal["alive", "not_seen", "dead", "missing"]
    on: date | None = None
    note: str = Field(default="", max_length=2000)


@api.get("")
async def list_proofs(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    due_before: date | None = None,
    status: Literal["open", "done"] = "open",
    person_id: str | None = None,
) -> Page:
    """High risk first, then by the day on which it is due. `due_before` is inclusive."""
    query = select(proofs_of_life, _PLACE).where(
        reader.within(proofs_of_life.c.area, area), proofs_of_life.c.status == status
    )
    if due_before is not None:
        query = query.where(proofs_of_life.c.due_on <= due_before)
    if person_id is not None:
        query = query.where(proofs_of_life.c.person_id == person_id)
    keys = (_PLACE, proofs_of_life.c.due_on, proofs_of_life.c.proof_id)
    found = rows(await tx.connection.execute(paging.cut(query, *keys)))
    page = paging.page(found, "place", "due_on", "proof_id")
    return Page(items=[Proof.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


_PLACE = case((proofs_of_life.c.risk == "high", 1), else_=2).label("place")


@api.get("/{proof_id}")
async def read_proof(proof_id: UUID, tx: Tx, reader: Official) -> Proof:
    return Proof.model_validate(dict((await handlers.read_proof(tx, proof_id, reader))._mapping))


@api.post("/{proof_id}")
async def record_proof(proof_id: UUID, body: NewProof, tx: Tx, verifier: Verifier) -> Proof:
    """An attempt: seen alive, not seen (to be tried again, by another method after a failed face check), or a lead."""
    today = business_today()
    on = body.on or today
    if on > today:
        raise InvalidInput.at("on", "日期尚未到来 (lies in the future)")
    row = await handlers.record_proof(tx, proof_id, body.method, body.outcome, on, body.note, verifier)
    return Proof.model_validate(dict(row._mapping))

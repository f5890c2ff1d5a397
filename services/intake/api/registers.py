"""What registers say that is not so on record, over REST: listed for the township, dismissed by two persons."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, StringConstraints
from sqlalchemy import exists, select

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.identity import mask_name
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys, Proposer
from services.intake.handlers.registers import approve_dismissal, propose_dismissal
from services.intake.person_records import name_in
from services.intake.registers import IN_QUESTION, IN_WORDS, entry_in_words
from services.intake.tables import changes, persons, register_leads
from services.intake.words import Words

api: APIRouter = router(prefix="/v1", tags=["registers"], dependencies=RATE_LIMITED)


class Dismissal(BaseModel):
    reason: Annotated[Words, StringConstraints(min_length=1)]


class ProposedDismissal(BaseModel):
    lead_id: UUID
    status: Literal["open"] = "open"


class Dismissed(BaseModel):
    lead_id: UUID
    status: Literal["dismissed"] = "dismissed"


@api.get("/register-leads")
async def list_register_leads(
    tx: Tx,
    keys: Keys,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Annotated[Area | None, Query()] = None,
    status: Literal["open", "done", "dismissed"] | None = None,
) -> Page:
    """What the registers of cards, guardianships and institutions say of persons in an area that is not so on record
    (notice 4.4 to 4.6), newest first. `entries`: what the register has. `holds`: nothing goes to the guardian on record
    meanwhile. `change_pending`: a change of account or guardian waits for approval."""
    query = (
        select(register_leads, persons.c.area, persons.c.sealed_identity, _CHANGE_PENDING)
        .join(persons, persons.c.person_id == register_leads.c.person_id)
        .where(reader.within(persons.c.area, area))
    )
    if status is not None:
        query = query.where(register_leads.c.status == status)
    found = rows(await tx.connection.execute(paging.cut(query, register_leads.c.lead_id, descending=True)))
    return paging.page([_shown(keys, row) for row in found], "lead_id")


_CHANGE_PENDING = exists(
    select(changes.c.change_id).where(
        changes.c.person_id == persons.c.person_id,
        changes.c.status == "pending",
        changes.c.kind.in_(("account", "guardian")),
    )
).label("change_pending")


def _shown(keys: Keys, row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in ("sealed_identity", "said")}
    return shown | {
        "name": mask_name(name_in(keys, row)),
        "says": IN_WORDS[row["kind"]],
        "entries": [entry_in_words(entry) for entry in row["said"]],
        "holds": row["kind"] in IN_QUESTION and row["status"] == "open",
    }


@api.post("/register-leads/{lead_id}/dismissal", status_code=202)
async def propose_register_dismissal(
    lead_id: UUID, dismissal: Dismissal, tx: Tx, proposer: Proposer
) -> ProposedDismissal:
    """Proposes that what is on record is right and stays; nothing is released before another person approves."""
    await propose_dismissal(tx, proposer, lead_id, reason=dismissal.reason)
    return ProposedDismissal(lead_id=lead_id)


@api.post("/register-leads/{lead_id}/dismissal/approval")
async def approve_register_dismissal(lead_id: UUID, tx: Tx, keys: Keys, approver: CivilAffairs) -> Dismissed:
    """What is on record stays, and whoever is on record is paid again. It comes back only when the register says
    something else. Who proposed it cannot approve it."""
    await approve_dismissal(tx, keys, approver, lead_id, on=business_today())
    return Dismissed(lead_id=lead_id)

"""What two places share, over REST: cross-province forwarding, transfers between counties, what is overdue."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import or_, select

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import NotFound
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys, Proposer, Submitter
from services.intake.declarations import HukouArea
from services.intake.forwardings import Forwarding, Step
from services.intake.handlers import forwardings as forwarding_handlers
from services.intake.handlers import transfers as transfer_handlers
from services.intake.tables import applications, escalations, forwardings, transfers
from services.intake.words import Words

api = router(prefix="/v1", tags=["places"], dependencies=RATE_LIMITED)


class ForwardingView(BaseModel):
    """Where a cross-province application is between its two places, with the clock that runs."""

    application_id: UUID
    accepted_area: str
    deciding_area: str
    step: Step
    due_on: date | None
    forwarded_on: date | None
    decided_on: date | None
    told_on: date | None

    @classmethod
    def of(cls, forwarding: Forwarding) -> ForwardingView:
        return cls(**{name: getattr(forwarding, name) for name in cls.model_fields})


class Transfer(BaseModel):
    """`moved_on`: the first day at the new place."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"person_id": "p1-5d41402a…", "to_area": "530302001", "moved_on": "2026-03-01"}]
        }
    )

    person_id: str
    to_area: HukouArea
    moved_on: date


class Proposed(BaseModel):
    """`prefilled`: what the receiving county need not ask again."""

    transfer_id: UUID
    status: Literal["proposed"] = "proposed"
    due_on: date
    prefilled: dict[str, Any]


class TransferDecision(BaseModel):
    outcome: Literal["accepted", "refused"]
    reason: Words | None = None


class TransferDecided(BaseModel):
    transfer_id: UUID
    status: Literal["accepted", "refused"]
    decided_on: date


@api.post("/applications/{application_id}/forwarding")
async def forward(application_id: UUID, tx: Tx, submitter: Submitter) -> ForwardingView:
    """The accepting place forwards a cross-province application to where it is decided."""
    return ForwardingView.of(
        await forwarding_handlers.forward_application(tx, submitter, application_id, on=business_today())
    )


@api.post("/applications/{application_id}/result-notice")
async def tell_result(application_id: UUID, tx: Tx, submitter: Submitter) -> ForwardingView:
    """The accepting place has told the applicant what was decided."""
    return ForwardingView.of(await forwarding_handlers.tell_result(tx, submitter, application_id, on=business_today()))


@api.get("/forwardings")
async def list_forwardings(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Annotated[Area | None, Query()] = None,
    step: Step | None = None,
    overdue: bool | None = None,
) -> Page:
    """Cross-province applications that an area accepted or decides, newest first."""
    sees = or_(reader.within(forwardings.c.accepted_area, area), reader.within(forwardings.c.deciding_area, area))
    query = select(forwardings, applications.c.receipt_no, applications.c.status).join(
        applications, applications.c.application_id == forwardings.c.application_id
    )
    found = rows(
        await tx.connection.execute(paging.cut(query.where(sees), forwardings.c.application_id, descending=True))
    )
    today, page = business_today(), paging.page(found, "application_id")
    shown = []
    for row in page.items:
        forwarding = forwarding_handlers.forwarding_in(row)
        late = forwarding.due_on is not None and forwarding.due_on < today
        if step in (None, forwarding.step) and overdue in (None, late):
            view = ForwardingView.of(forwarding).model_dump()
            shown.append(view | {"receipt_no": row["receipt_no"], "status": row["status"], "overdue": late})
    return Page(items=shown, next_cursor=page.next_cursor)


@api.post("/transfers", status_code=201)
async def propose_transfer(transfer: Transfer, tx: Tx, keys: Keys, proposer: Proposer) -> Proposed:
    """Proposes that the county a person moved to goes on paying; by either side."""
    row = await transfer_handlers.propose_transfer(
        tx, keys, proposer, transfer.person_id, transfer.to_area, transfer.moved_on, on=business_today()
    )
    prefilled = await transfer_handlers.prefilled(tx, keys, transfer.person_id)
    return Proposed(transfer_id=row["transfer_id"], due_on=row["due_on"], prefilled=prefilled)


@api.get("/transfers")
async def list_transfers(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Annotated[Area | None, Query()] = None,
    status: Literal["proposed", "accepted", "refused"] | None = None,
) -> Page:
    """Transfers into and out of an area, newest first."""
    query = select(transfers).where(
        or_(reader.within(transfers.c.to_area, area), reader.within(transfers.c.from_area, area))
    )
    if status is not None:
        query = query.where(transfers.c.status == status)
    found = rows(await tx.connection.execute(paging.cut(query, transfers.c.transfer_id, descending=True)))
    return paging.page(found, "transfer_id")


@api.get("/transfers/{transfer_id}")
async def read_transfer(transfer_id: UUID, tx: Tx, keys: Keys, reader: Official) -> dict[str, Any]:
    """A transfer with what the receiving county need not ask again; seen by both."""
    found = await tx.connection.execute(select(transfers).where(transfers.c.transfer_id == transfer_id))
    row = found.mappings().one_or_none()
    if row is None or not (reader.covers(row["to_area"]) or reader.covers(row["from_area"])):
        raise NotFound("no such transfer")
    return {**row, "prefilled": await transfer_handlers.prefilled(tx, keys, row["person_id"])}


@api.post("/transfers/{transfer_id}/decision")
async def decide_transfer(
    transfer_id: UUID, decision: TransferDecision, tx: Tx, keys: Keys, official: CivilAffairs
) -> TransferDecided:
    """Civil affairs of the county moved to accepts, and the spell goes on there, or refuses with a reason."""
    on = business_today()
    await transfer_handlers.decide_transfer(
        tx, keys, official, transfer_id, accepts=decision.outcome == "accepted", reason=decision.reason, on=on
    )
    return TransferDecided(transfer_id=transfer_id, status=decision.outcome, decided_on=on)


@api.get("/escalations")
async def list_escalations(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Annotated[Area | None, Query()] = None,
    open: bool | None = None,
) -> Page:
    """What offices of an area were late with, newest first; `open`: still late."""
    query = select(escalations).where(reader.within(escalations.c.area, area))
    if open is not None:
        query = query.where(escalations.c.resolved_on.is_(None) if open else escalations.c.resolved_on.is_not(None))
    found = rows(await tx.connection.execute(paging.cut(query, escalations.c.escalation_id, descending=True)))
    return paging.page(found, "escalation_id")

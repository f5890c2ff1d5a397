"""Findings and their verification."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, Field
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import CivilAffairs, Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.identity import mask_name
from libs.common.period import Period
from libs.common.vocabulary import FindingStatus
from libs.common.web import Page, Paging, Tx, router
from services.matching.api.parts import PartsOf
from services.matching.handlers import decisions
from services.matching.handlers import findings as handlers
from services.matching.handlers.names import names_of
from services.matching.tables import claims, findings

api = router(prefix="/v1/findings", tags=["findings"])

Verifier = Annotated[Principal, Depends(caller("township", "civil_affairs"))]


class Finding(BaseModel):
    """A lead about a person; while open it holds payments from `hold_from` on. `about`: which benefit it is of, or
    `monitored`; empty where a person has but one of the kind."""

    finding_id: UUID
    person_id: str
    kind: str
    about: str
    area: str
    status: FindingStatus
    alleged_on: date
    hold_from: Period
    opened_on: date
    due_on: date
    overdue: bool
    assigned_to: str | None
    decision: Literal["keep", "release"] | None
    decided_on: date | None
    decision_note: str | None
    name: str | None = None
    detail: dict[str, Any]
    comparison_id: UUID | None
    method: str | None
    effective_on: date | None
    note: str | None
    fact_id: UUID | None


class Claim(BaseModel):
    """What one source said. `reported_by` is who pushed it, where it came in no feed."""

    source: str
    alleged_on: date
    feed_id: UUID | None
    reported_by: str | None
    detail: dict[str, Any]


class FindingWithClaims(Finding):
    claims: list[Claim]


class NewVerification(BaseModel):
    """`effective_on` is the day as it was found out, the alleged one by default. `to_area`: where a mover went."""

    method: Literal["visit", "video", "face", "phone", "document"]
    outcome: Literal["confirmed", "dismissed"]
    effective_on: date | None = None
    note: str = Field(default="", max_length=2000)
    evidence: Any = None
    to_area: Area | None = None


class NewAssignment(BaseModel):
    """`area`: the county or the township in the finding's county that verifies it; `due_on` the present one if null."""

    area: Area
    due_on: date | None = None


class NewDecision(BaseModel):
    """`keep` holds on, with a new deadline; `release` lets payments go while the lead stays to be verified."""

    decision: Literal["keep", "release"]
    reason: str = Field(min_length=1, max_length=2000)


class NewBulkVerification(BaseModel):
    """One finding out about many leads, with one reason. `effective_on` is each one's alleged day if null."""

    finding_ids: list[UUID] = Field(min_length=1, max_length=500)
    method: Literal["visit", "video", "face", "phone", "document"]
    outcome: Literal["confirmed", "dismissed"]
    effective_on: date | None = None
    note: str = Field(min_length=1, max_length=2000)


class BulkAnswer(BaseModel):
    """What became of one of them: its status, or why it was refused."""

    finding_id: UUID
    status: FindingStatus | None = None
    refused: str | None = None


@api.get("")
async def list_findings(
    tx: Tx,
    reader: Official,
    parts: PartsOf,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    status: FindingStatus | None = None,
    kind: str | None = None,
    overdue: bool | None = None,
    assigned_to: Area | None = None,
    person_id: str | None = None,
) -> Page:
    query = select(findings).where(reader.within(findings.c.area, area) | reader.within(findings.c.assigned_to, area))
    for column, value in ((findings.c.status, status), (findings.c.kind, kind), (findings.c.person_id, person_id)):
        if value is not None:
            query = query.where(column == value)
    if assigned_to is not None:
        query = query.where(findings.c.assigned_to.startswith(assigned_to))
    if overdue is not None:
        is_overdue = findings.c.overdue_since.is_not(None) & (findings.c.status == "open")
        query = query.where(is_overdue if overdue else ~is_overdue)
    found = rows(await tx.connection.execute(paging.cut(query, findings.c.finding_id)))
    page = paging.page(found, "finding_id")
    names = await names_of(tx, [row["finding_id"] for row in page.items], parts.folder, parts.keys.sealer)
    shown = [_shown(row, name=_masked(names.get(row["finding_id"]))) for row in page.items]
    return Page(items=shown, next_cursor=page.next_cursor)


@api.get("/{finding_id}")
async def read_finding(finding_id: UUID, tx: Tx, reader: Official, parts: PartsOf) -> FindingWithClaims:
    """Who verifies it sees the name whole, as the source gave it."""
    row = await handlers.read_finding(tx, finding_id, reader)
    name = (await names_of(tx, [finding_id], parts.folder, parts.keys.sealer)).get(finding_id)
    if reader.role in ("township", "civil_affairs"):
        await record(tx, reader, "read finding", str(finding_id), person_id=row.person_id)
    else:
        name = _masked(name)
    said = rows(
        await tx.connection.execute(
            select(claims).where(claims.c.finding_id == finding_id).order_by(claims.c.alleged_on, claims.c.claim_id)
        )
    )
    return FindingWithClaims.model_validate({**dict(_shown(dict(row._mapping), name=name)), "claims": said})


@api.post("/{finding_id}/verification")
async def verify_finding(finding_id: UUID, body: NewVerification, tx: Tx, verifier: Verifier) -> Finding:
    """A person has found out: confirmed, it becomes a fact; dismissed, what was held is paid."""
    verification = handlers.Verification(**body.model_dump())
    row = await handlers.verify_finding(tx, finding_id, verification, verifier, today=business_today())
    return _shown(row)


@api.post("/{finding_id}/assignment")
async def assign_finding(finding_id: UUID, body: NewAssignment, tx: Tx, official: CivilAffairs) -> Finding:
    """Hands the verification to a township, or takes it to the county."""
    return _shown(await decisions.assign_finding(tx, finding_id, body.area, body.due_on, official))


@api.post("/{finding_id}/decision")
async def decide_finding(finding_id: UUID, body: NewDecision, tx: Tx, official: CivilAffairs) -> Finding:
    """Overdue, the county decides before the next cycle. A lead of death is never released without being verified."""
    row = await decisions.decide_finding(tx, finding_id, body.decision, body.reason, official, today=business_today())
    return _shown(row)


@api.post("/bulk-verification")
async def verify_many(body: NewBulkVerification, tx: Tx, verifier: Verifier) -> list[BulkAnswer]:
    """Each is verified, or refused, by itself; each has its own entry in the audit log."""
    verification = handlers.Verification(body.method, body.outcome, body.note, body.effective_on)
    done = await decisions.verify_many(tx, body.finding_ids, verification, verifier, today=business_today())
    return [BulkAnswer(finding_id=finding_id, status=status, refused=refused) for finding_id, status, refused in done]


def _shown(row: dict[str, Any], *, name: str | None = None) -> Finding:
    overdue = row["overdue_since"] is not None and row["status"] == "open"
    return Finding.model_validate({**row, "overdue": overdue, "name": name})


def _masked(name: str | None) -> str | None:
    return mask_name(name) if name else None

"""Findings: opened from leads, verified by a person, never released by time."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, InvalidInput, NotFound
from libs.common.events.matching import FindingConfirmed, FindingDismissed, FindingOpened, FindingState
from libs.common.working_days import working_days_after
from services.matching.findings import Lead, OpenFinding, Sorted, sort_out
from services.matching.handlers.adding import add_rows
from services.matching.handlers.evidence import Subject, list_evidence, require_face_match
from services.matching.handlers.facts import BY_VERIFICATION, Assertion, assert_facts, new_fact
from services.matching.handlers.ledgers import extend_ledger
from services.matching.handlers.outreach import identify_candidates
from services.matching.kinds import DEATH, kind_of
from services.matching.parameters import load_parameters
from services.matching.tables import among, claims, findings, standing_facts

Claim = tuple[str, str, str, date]


@dataclass(slots=True)
class Noted:
    """What became of leads: the findings opened, the claims added to open ones, and for every claim that is or was
    noted its id and its finding."""

    opened: list[Mapping[str, Any]] = field(default_factory=list)
    added: list[tuple[UUID, Lead]] = field(default_factory=list)
    claims: dict[Claim, tuple[UUID, UUID]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a person found out about a lead, and how."""

    method: str
    outcome: str
    note: str
    effective_on: date | None = None
    evidence: Any = None
    to_area: str | None = None


class AlreadyVerified(Conflict):
    """This finding was verified before."""

    type = "already-verified"


class FaceCheckProvesNoDeath(InvalidInput):
    """A failed face check is never a death; verify it another way."""

    type = "face-check-proves-no-death"


async def open_leads(
    tx: Transaction, leads: Sequence[Lead], *, opened_on: date, comparison_id: UUID | None = None
) -> Noted:
    """Opens a finding for what is new, adds new claims to what is open. An earlier day alleged holds from earlier."""
    persons = sorted({lead.person_id for lead in leads})
    await tx.lock(*persons)
    noted = Noted(claims=await _claims_of(tx, persons))
    sorted_leads = sort_out(
        leads,
        claims=set(noted.claims),
        facts=await _facts_of(tx, persons),
        open_findings=await _open_findings_of(tx, persons),
    )
    await _open(tx, sorted_leads, noted, opened_on, comparison_id)
    for finding_id, said in sorted_leads.to_add.items():
        noted.added += [(finding_id, lead) for lead in said]
        await _hold_from_earlier(tx, finding_id, said[0])
    await _note_claims(tx, noted.added, noted)
    return noted


async def _open(
    tx: Transaction, sorted_leads: Sorted, noted: Noted, opened_on: date, comparison_id: UUID | None
) -> None:
    parameters = await load_parameters(tx)

    @functools.cache
    def due_on(area: str) -> date:
        return working_days_after(opened_on, parameters.number("finding.verification_days", area, opened_on))

    rows: list[dict[str, Any]] = [
        {
            "finding_id": new_id(),
            "person_id": said[0].person_id,
            "kind": said[0].kind,
            "area": said[0].area,
            "status": "open",
            "version": 1,
            "alleged_on": said[0].alleged_on,
            "hold_from": said[0].hold_from,
            "opened_on": opened_on,
            "due_on": due_on(said[0].area),
            "assigned_to": said[0].area,
            "detail": dict(said[0].detail),
            "comparison_id": comparison_id,
        }
        for said in sorted_leads.to_open
    ]
    if not rows:
        return
    await add_rows(tx, findings, rows)
    pairs = [(row["finding_id"], lead) for row, said in zip(rows, sorted_leads.to_open, strict=True) for lead in said]
    await _note_claims(tx, pairs, noted)
    for row in rows:
        tx.publish(FindingOpened.model_validate(row))
    noted.opened += rows


async def _note_claims(tx: Transaction, pairs: Sequence[tuple[UUID, Lead]], noted: Noted) -> None:
    if not pairs:
        return
    rows: list[dict[str, Any]] = [
        {
            "claim_id": new_id(),
            "finding_id": finding_id,
            "person_id": lead.person_id,
            "kind": lead.kind,
            "source": lead.source,
            "alleged_on": lead.alleged_on,
            "detail": dict(lead.detail),
            "feed_id": lead.feed_id,
            "feed_row": lead.feed_row,
            "reported_by": lead.reported_by,
        }
        for finding_id, lead in pairs
    ]
    await add_rows(tx, claims, rows)
    for row, (finding_id, lead) in zip(rows, pairs, strict=True):
        noted.claims[lead.claim] = (row["claim_id"], finding_id)


async def _hold_from_earlier(tx: Transaction, finding_id: UUID, earliest: Lead) -> None:
    row = (await tx.connection.execute(select(findings).where(findings.c.finding_id == finding_id))).one()
    if earliest.alleged_on < row.alleged_on:
        await save_finding(
            tx, row, FindingOpened, alleged_on=earliest.alleged_on, hold_from=min(earliest.hold_from, row.hold_from)
        )


async def save_finding(tx: Transaction, row: Any, event: type[FindingState], **changes: Any) -> None:
    """Stores the finding's next version and tells it."""
    changes = {**changes, "version": row.version + 1}
    await tx.connection.execute(update(findings).where(findings.c.finding_id == row.finding_id).values(**changes))
    tx.publish(event.model_validate({**row._mapping, **changes}))


async def verify_finding(
    tx: Transaction, finding_id: UUID, verification: Verification, principal: Principal, *, today: date
) -> dict[str, Any]:
    """Closes a finding: confirmed, it becomes a fact with its own date; dismissed, what it held is paid (notice 3).

    NotFound outside one's area, AlreadyVerified the second time, FaceCheckProvesNoDeath, and InvalidInput for a day
    that is still to come or for a fact that lacks something.
    """
    row = await read_finding(tx, finding_id, principal)
    await tx.lock(row.person_id)
    row = await read_finding(tx, finding_id, principal)
    if row.status != "open":
        raise AlreadyVerified(f"it is {row.status}")
    if verification.method == "face":
        await require_face_match(tx, Subject("finding", finding_id))
    changes: dict[str, Any] = {
        "status": verification.outcome,
        "method": verification.method,
        "note": verification.note,
        "evidence": verification.evidence,
        "verified_by": principal.sub,
        "verified_at": tx.now,
    }
    if verification.outcome == "confirmed":
        changes |= await _confirm(tx, row, verification, principal, today)
        await save_finding(tx, row, FindingConfirmed, **changes)
    else:
        await save_finding(tx, row, FindingDismissed, **changes)
    await _note_in_ledger(tx, row, changes)
    await record(
        tx, principal, "verify finding", str(finding_id), person_id=row.person_id, reason=verification.note,
        outcome=verification.outcome, method=verification.method, fact_id=changes.get("fact_id"),
    )  # fmt: skip
    return {**row._mapping, **changes, "version": row.version + 1}


async def assert_authoritative(tx: Transaction, assertions: Sequence[Assertion]) -> None:
    """Facts by whose word it is: they act at once, and a lead that alleges the same is confirmed by them."""
    found = await _open_rows(tx, sorted({item.fact.person_id for item in assertions}))
    open_rows = {(row.person_id, row.kind): row for row in found}
    told, confirmed = [], []
    for item in assertions:
        row = open_rows.pop((item.fact.person_id, kind_of(type(item.fact))), None)
        told.append(item if row is None else replace(item, finding_id=row.finding_id))
        if row is not None:
            confirmed.append((row, item))
    await assert_facts(tx, told)
    await identify_candidates(tx, [(item.fact, item.area, item.feed_id) for item in told])
    for row, item in confirmed:
        changes = {
            "status": "confirmed",
            "method": "document",
            "note": f"stated by {item.fact.source}",
            "effective_on": item.fact.occurred_on,
            "verified_by": item.asserted_by,
            "verified_at": tx.now,
            "fact_id": item.fact.fact_id,
        }
        await save_finding(tx, row, FindingConfirmed, **changes)
        await _note_in_ledger(tx, row, changes)


async def _confirm(
    tx: Transaction, row: Any, verification: Verification, principal: Principal, today: date
) -> dict[str, Any]:
    if verification.method == "face" and row.kind == DEATH:
        raise FaceCheckProvesNoDeath
    effective_on = verification.effective_on or row.alleged_on
    if effective_on > today:
        raise InvalidInput.at("effective_on", "lies in the future")
    fields = {**row.detail, **({"to_area": verification.to_area} if verification.to_area else {})}
    fact = new_fact(tx, row.kind, row.person_id, effective_on, source=BY_VERIFICATION, fields=fields)
    await assert_facts(tx, [Assertion(fact, row.area, principal.sub, finding_id=row.finding_id)])
    await identify_candidates(tx, [(fact, row.area, None)])
    return {"effective_on": effective_on, "fact_id": fact.fact_id}


async def _note_in_ledger(tx: Transaction, row: Any, changes: Mapping[str, Any]) -> None:
    """What became of a finding, in the ledger of the comparison that opened it."""
    if row.comparison_id is not None:
        became = {name: changes.get(name) for name in ("status", "method", "effective_on", "verified_by", "fact_id")}
        files = [kept["digest"] for kept in await list_evidence(tx, Subject("finding", row.finding_id))]
        entry = {"entry": "verification", "finding_id": row.finding_id, **became, "evidence": files}
        await extend_ledger(tx, row.comparison_id, [entry])


async def read_finding(tx: Transaction, finding_id: UUID, principal: Principal) -> Any:
    """The finding's row. NotFound outside one's area, unless it was assigned there."""
    row = (await tx.connection.execute(select(findings).where(findings.c.finding_id == finding_id))).one_or_none()
    if row is None:
        raise NotFound("no such finding")
    if not principal.covers(row.assigned_to or row.area):
        principal.require_sight(row.area, "finding")
    return row


async def flag_overdue(tx: Transaction, as_of: date) -> int:
    """Marks the findings whose deadline is past; nothing is released by that: the county has to decide."""
    result = await tx.connection.execute(
        update(findings)
        .where(findings.c.status == "open", findings.c.due_on < as_of, findings.c.overdue_since.is_(None))
        .values(overdue_since=as_of)
    )
    return result.rowcount


async def place_findings(tx: Transaction, areas: Mapping[str, str]) -> None:
    """Gives open findings of persons whose county was not known their area, now that it is (person_id → area)."""
    rows = await tx.connection.execute(
        select(findings).where(findings.c.status == "open", among(findings.c.person_id, areas))
    )
    for row in rows.all():
        area = areas[row.person_id]
        if area.startswith(row.area) and area != row.area:
            narrower = {"assigned_to": area} if row.assigned_to == row.area else {}
            await save_finding(tx, row, FindingOpened, area=area, **narrower)


async def _claims_of(tx: Transaction, persons: Sequence[str]) -> dict[Claim, tuple[UUID, UUID]]:
    rows = await tx.connection.execute(select(claims).where(among(claims.c.person_id, persons)))
    return {(row.person_id, row.kind, row.source, row.alleged_on): (row.claim_id, row.finding_id) for row in rows}


async def _facts_of(tx: Transaction, persons: Sequence[str]) -> dict[tuple[str, str], set[date]]:
    rows = await tx.connection.execute(
        select(standing_facts.c.person_id, standing_facts.c.kind, standing_facts.c.occurred_on).where(
            among(standing_facts.c.person_id, persons)
        )
    )
    known: dict[tuple[str, str], set[date]] = {}
    for row in rows:
        known.setdefault((row.person_id, row.kind), set()).add(row.occurred_on)
    return known


async def _open_findings_of(tx: Transaction, persons: Sequence[str]) -> dict[tuple[str, str], OpenFinding]:
    rows = await _open_rows(tx, persons)
    return {(row.person_id, row.kind): OpenFinding(row.finding_id, row.alleged_on) for row in rows}


async def _open_rows(tx: Transaction, persons: Sequence[str]) -> Sequence[Any]:
    found = await tx.connection.execute(
        select(findings).where(among(findings.c.person_id, persons), findings.c.status == "open")
    )
    return found.all()

"""Findings: opened from leads, verified by a person, never released by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from libs.common.areas import contains
from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, among
from libs.common.errors import Conflict, InvalidInput, NotFound
from libs.common.events.matching import FindingConfirmed, FindingDismissed, FindingOpened, FindingState
from libs.common.projection import Received
from services.matching.handlers.evidence import Subject, list_evidence, require_face_match
from services.matching.handlers.facts import BY_VERIFICATION, Assertion, assert_facts, new_fact
from services.matching.handlers.ledgers import extend_ledger
from services.matching.handlers.outreach import identify_candidates
from services.matching.kinds import DEATH, about, kind_of
from services.matching.tables import findings


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
    """A failed face check is never a death; find it out another way."""

    type = "face-check-proves-no-death"


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
    row = await lock_open_finding(tx, finding_id, principal)
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
    open_rows = {(row.person_id, row.kind, row.about): row for row in found}
    told, confirmed = [], []
    for item in assertions:
        kind = kind_of(type(item.fact))
        row = open_rows.pop((item.fact.person_id, kind, about(kind, dict(item.fact))), None)
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
        raise InvalidInput.at("effective_on", "日期尚未到来 (lies in the future)")
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


async def lock_open_finding(tx: Transaction, finding_id: UUID, principal: Principal) -> Any:
    """The row of a finding that is open, its person locked. NotFound as above, AlreadyVerified."""
    row = await read_finding(tx, finding_id, principal)
    await tx.lock(row.person_id)
    row = await read_finding(tx, finding_id, principal)
    if row.status != "open":
        raise AlreadyVerified(f"it is {row.status}")
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


async def follow_transfers(tx: Transaction, received: Sequence[Received]) -> None:
    """Open findings go along to the county that accepted the person: it pays from the month after, and so verifies."""
    areas = {
        item.data.person_id: item.data.to_area for item in sorted(received, key=lambda item: item.data.occurred_on)
    }
    await tx.lock(*areas)
    for row in await _open_rows(tx, sorted(areas)):
        area = areas[row.person_id]
        if not contains(row.area[:6], area):
            await save_finding(tx, row, FindingOpened, area=area, assigned_to=area)


async def _open_rows(tx: Transaction, persons: Sequence[str]) -> Sequence[Any]:
    found = await tx.connection.execute(
        select(findings).where(among(findings.c.person_id, persons), findings.c.status == "open")
    )
    return found.all()

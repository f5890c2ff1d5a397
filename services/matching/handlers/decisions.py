"""Findings in the county's hands: assigned, decided once overdue, verified many at once (notice 3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import update

from libs.common.areas import contains
from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import Conflict, DomainError, InvalidInput
from libs.common.events.matching import FindingOpened
from libs.common.working_days import working_days_after
from services.matching.handlers.findings import (
    Verification,
    lock_open_finding,
    read_finding,
    save_finding,
    verify_finding,
)
from services.matching.kinds import DEATH, NEVER
from services.matching.parameters import load_parameters
from services.matching.tables import findings

DEATHS = (DEATH, "person.declared_dead")


class DeathIsNotReleased(Conflict):
    """A lead of death is released by verifying it, and never by time."""

    type = "death-is-not-released"


class NotOverdue(Conflict):
    """Only an overdue finding is decided without being verified."""

    type = "not-overdue"


async def assign_finding(
    tx: Transaction, finding_id: UUID, area: str, due_on: date | None, principal: Principal
) -> dict[str, Any]:
    """The finding is verified by `area`: its county, or a township of it. InvalidInput for any other."""
    row = await lock_open_finding(tx, finding_id, principal)
    county = row.area[:6]
    if not contains(county, area):
        raise InvalidInput.at("area", f"不在 {county} 辖区内 (lies outside it)")
    if due_on is not None and due_on < row.opened_on:
        raise InvalidInput.at("due_on", "早于发现日期 (lies before the finding was opened)")
    changes: dict[str, Any] = {"assigned_to": area}
    if due_on is not None:
        changes |= {"due_on": due_on, "overdue_since": None}
        await save_finding(tx, row, FindingOpened, **changes)
    else:
        await tx.connection.execute(update(findings).where(findings.c.finding_id == finding_id).values(**changes))
    await record(tx, principal, "assign finding", str(finding_id), person_id=row.person_id, to=area, due_on=due_on)
    return dict((await read_finding(tx, finding_id, principal))._mapping)


async def decide_finding(
    tx: Transaction, finding_id: UUID, decision: str, reason: str, principal: Principal, *, today: date
) -> dict[str, Any]:
    """What happens to an overdue finding until it is verified. NotOverdue, DeathIsNotReleased.

    `keep` holds on and sets a new deadline; `release` pays what was held, and the lead is still to be verified.
    """
    row = await lock_open_finding(tx, finding_id, principal)
    if row.overdue_since is None:
        raise NotOverdue(f"核实期限为 {row.due_on}，尚未超期 (it is not overdue yet)")
    if decision == "release" and row.kind in DEATHS:
        raise DeathIsNotReleased(
            "须经核实：人脸未通过或无人应答都不能证明生死 (verify it; silence proves neither life nor death)"
        )
    on = max(today, row.overdue_since)
    changes: dict[str, Any] = {
        "decision": decision,
        "decided_by": principal.sub,
        "decided_on": on,
        "decision_note": reason,
        "due_on": working_days_after(on, (await load_parameters(tx)).number("finding.verification_days", row.area, on)),
        "overdue_since": None,
    }
    if decision == "release":
        changes["hold_from"] = str(NEVER)
    await save_finding(tx, row, FindingOpened, **changes)
    await record(
        tx, principal, "decide finding", str(finding_id), person_id=row.person_id, reason=reason, decision=decision
    )
    return dict((await read_finding(tx, finding_id, principal))._mapping)


async def verify_many(
    tx: Transaction, finding_ids: Sequence[UUID], verification: Verification, principal: Principal, *, today: date
) -> list[tuple[UUID, str | None, str | None]]:
    """Verifies each by itself: (finding, its status, or why it was refused). What is refused changes nothing."""
    done: list[tuple[UUID, str | None, str | None]] = []
    for finding_id in dict.fromkeys(finding_ids):
        try:
            row = await verify_finding(tx, finding_id, verification, principal, today=today)
        except DomainError as refusal:  # raised before anything is written
            done.append((finding_id, None, refusal.detail or refusal.title))
        else:
            done.append((finding_id, row["status"], None))
    return done

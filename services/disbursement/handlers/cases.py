"""Cases: differences and oddities that a person has to look at (notice 4.1)."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import NotFound
from libs.common.period import Period
from services.disbursement.errors import CaseResolved


async def open_case(
    tx: Transaction,
    kind: str,
    subject: str,
    *,
    area: str,
    period: Period | None = None,
    person_id: str | None = None,
    payment_id: UUID | None = None,
    cycle_id: UUID | None = None,
    **detail: Any,
) -> None:
    """Opens the case of this kind and subject. One that was resolved opens again only if its detail is another.

    `area` is empty when nobody's is known: every area's finance sees it then. `detail` holds no personal data.
    """
    await tx.connection.execute(
        text(
            "INSERT INTO cases (kind, subject, area, period, person_id, payment_id, cycle_id, detail, due_on)"
            " VALUES (:kind, :subject, :area, :period, :person_id, :payment_id, :cycle_id, CAST(:detail AS jsonb),"
            " case_due_on(:area)) ON CONFLICT (kind, subject) DO UPDATE SET detail = excluded.detail,"
            " opened_at = now(), due_on = excluded.due_on, assigned_to = NULL, assigned_by = NULL,"
            " assigned_from = NULL, assigned_at = NULL, demand = NULL, resolved_at = NULL, resolved_by = NULL,"
            " resolution = NULL WHERE cases.detail <> excluded.detail"
        ),
        {
            "kind": kind,
            "subject": subject,
            "area": area,
            "period": period.first_day if period else None,
            "person_id": person_id,
            "payment_id": payment_id,
            "cycle_id": cycle_id,
            "detail": json.dumps(detail, ensure_ascii=False, default=str),
        },
    )


async def assign_case(
    tx: Transaction, principal: Principal, case_id: UUID, *, to: str, due_on: date, demand: str | None
) -> None:
    """Names who sees to a case, by when; from an office above it is a demand (督办). NotFound, `CaseResolved`."""
    await _load_open(tx, principal, case_id)
    await tx.connection.execute(
        text(
            "UPDATE cases SET assigned_to = :to, assigned_by = :sub, assigned_from = :area, assigned_at = :now,"
            " due_on = :due_on, demand = :demand WHERE case_id = :id"
        ),
        {
            "id": case_id,
            "to": to,
            "due_on": due_on,
            "demand": demand,
            "sub": principal.sub,
            "area": principal.area,
            "now": tx.now,
        },
    )
    await audit.record(tx, principal, "assign case", str(case_id), reason=demand, to=to, due_on=due_on)


async def resolve_case(tx: Transaction, principal: Principal, case_id: UUID, resolution: str) -> None:
    """Says what came of a case. NotFound outside one's area, `CaseResolved` the second time."""
    case = await _load_open(tx, principal, case_id)
    await tx.connection.execute(
        text("UPDATE cases SET resolved_at = :now, resolved_by = :sub, resolution = :resolution WHERE case_id = :id"),
        {"id": case_id, "now": tx.now, "sub": principal.sub, "resolution": resolution},
    )
    await audit.record(tx, principal, "resolve case", str(case_id), person_id=case.person_id, reason=resolution)


async def _load_open(tx: Transaction, principal: Principal, case_id: UUID) -> Any:
    case = (
        await tx.connection.execute(text("SELECT * FROM cases WHERE case_id = :id FOR UPDATE"), {"id": case_id})
    ).one_or_none()
    if case is None or not (case.area == "" or principal.covers(case.area)):
        raise NotFound("no such case")
    if case.resolved_at is not None:
        raise CaseResolved
    return case

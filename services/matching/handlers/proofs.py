"""Proofs of life (生存验证): who has to be seen alive by when, and what came of it (notice 3.5)."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import Conflict, NotFound
from libs.common.working_days import working_days_after
from services.matching.findings import Lead
from services.matching.handlers.evidence import Subject, require_face_match
from services.matching.handlers.findings import FaceCheckProvesNoDeath
from services.matching.handlers.leads import claim_of, open_leads
from services.matching.parameters import load_parameters
from services.matching.tables import proofs_of_life

_ALLEGES = {"dead": "person.died", "missing": "person.missing"}
"""What an outcome alleges. It is a lead as any other: it holds, and a verification of its own decides."""


async def call_for_proofs(tx: Transaction, as_of: date) -> int:
    """Daily: opens a proof for every recipient whose next sign of life is due within the days of notice.

    Signs of life are earlier proofs, applications, certificates issued or reassessed, and findings of death or of
    being missing that were dismissed. The aged, and those about whom there was such a finding, are due sooner.
    """
    await tx.connection.execute(_STOP, {"as_of": as_of, "period": f"{as_of:%Y-%m}"})
    limits: dict[str, Any] = {"as_of": as_of, "period": f"{as_of:%Y-%m}", "year": as_of.year}
    parameters = await load_parameters(tx)
    for name in ("interval_months", "high_risk_interval_months", "high_risk_age", "notice_days"):
        values = parameters.by_layer(f"proof_of_life.{name}", as_of)
        limits[f"{name}_areas"], limits[name] = list(values), list(values.values())
    opened = await tx.connection.execute(_CALL, limits)
    return opened.rowcount


async def record_proof(
    tx: Transaction, proof_id: UUID, method: str, outcome: str, on: date, note: str, principal: Principal
) -> Row[Any]:
    """What one attempt came to.

    `alive` ends it until the next is due; `not_seen` sets it anew and wants another method if a face check failed;
    `dead` and `missing` end it by a finding. NotFound outside one's area, Conflict once it is done.
    """
    row = await read_proof(tx, proof_id, principal)
    await tx.lock(row.person_id)
    row = await read_proof(tx, proof_id, principal)
    if row.status != "open":
        raise Conflict(
            "本次生存验证已完成，下次到期时再验证 (this proof is done; the next will be called for in its time)"
        )
    if method == "face":
        if outcome in _ALLEGES:
            raise FaceCheckProvesNoDeath
        if outcome == "alive":
            await require_face_match(tx, Subject("proof_of_life", proof_id))
    tried = [
        *row.tried,
        {"on": on.isoformat(), "method": method, "outcome": outcome, "by": principal.sub, "note": note},
    ]
    changes: dict[str, Any] = {"attempts": row.attempts + 1, "tried": tried}
    if outcome == "not_seen":
        repeat_days = (await load_parameters(tx)).number("proof_of_life.repeat_days", row.area, on)
        again_by = max(row.due_on, working_days_after(on, repeat_days))
        changes |= {"due_on": again_by, "late_after": again_by, "risk": "high", "because": outcome}
    else:
        changes |= {
            "status": "done", "outcome": outcome, "method": method, "proved_on": on, "proved_by": principal.sub,
        }  # fmt: skip
    if outcome in _ALLEGES:
        changes["finding_id"] = await _allege(tx, row, _ALLEGES[outcome], on, principal)
    await tx.connection.execute(update(proofs_of_life).where(proofs_of_life.c.proof_id == proof_id).values(**changes))
    await record(
        tx, principal, "record proof of life", str(proof_id), person_id=row.person_id, reason=note or None,
        method=method, outcome=outcome, on=on,
    )  # fmt: skip
    return await read_proof(tx, proof_id, principal)


async def read_proof(tx: Transaction, proof_id: UUID, principal: Principal) -> Row[Any]:
    """NotFound outside one's area."""
    found = await tx.connection.execute(select(proofs_of_life).where(proofs_of_life.c.proof_id == proof_id))
    row = found.one_or_none()
    if row is None:
        raise NotFound("no such proof of life")
    principal.require_sight(row.area, "proof of life")
    return row


async def _allege(tx: Transaction, row: Row[Any], kind: str, on: date, principal: Principal) -> UUID | None:
    lead = Lead(row.person_id, kind, on, row.area, source=principal.sub, reported_by=principal.sub)
    await open_leads(tx, [lead], opened_on=on)
    claim = await claim_of(tx, lead)
    return None if claim is None else claim.finding_id


_STOP = text(
    """
    UPDATE proofs_of_life p SET status = 'done', outcome = 'stopped', proved_on = :as_of
    WHERE p.status = 'open' AND NOT EXISTS (
        SELECT FROM roster r, jsonb_array_elements(r.schedule) AS span
        WHERE r.person_id = p.person_id AND coalesce(span ->> 'to', '9999-12') >= :period
    )
    """
)


def _nearest(name: str) -> str:
    """The value of the nearest layer around the recipient's area."""
    return (
        f"(SELECT value FROM unnest(CAST(:{name}_areas AS text[]), CAST(:{name} AS int[]))"  # noqa: S608 (our own names)
        " AS layer (area, value)"
        " WHERE starts_with(who.area, layer.area) ORDER BY length(layer.area) DESC LIMIT 1)"
    )


_CALL = text(
    f"""
    WITH who AS (
        SELECT DISTINCT ON (r.person_id) r.person_id, r.area,
            (min(span ->> 'from') OVER (PARTITION BY r.person_id) || '-01')::date AS since
        FROM roster r, jsonb_array_elements(r.schedule) AS span
        WHERE span ->> 'from' <= :period AND coalesce(span ->> 'to', '9999-12') >= :period
        ORDER BY r.person_id, r.area
    ),
    leads AS (
        SELECT person_id, max(verified_at AT TIME ZONE 'Asia/Shanghai')::date AS on_day
        FROM findings
        WHERE status = 'dismissed' AND kind IN ('person.died', 'person.declared_dead', 'person.missing')
        GROUP BY person_id
    ),
    signs AS (
        SELECT person_id, max(on_day) AS on_day FROM (
            SELECT person_id, proved_on AS on_day FROM proofs_of_life WHERE outcome = 'alive'
            UNION ALL SELECT person_id, applied_on FROM applications
            UNION ALL SELECT person_id, occurred_on FROM standing_facts
                WHERE kind IN ('certificate.issued', 'certificate.renewed', 'certificate.reassessed',
                    'person.reappeared')
            UNION ALL SELECT person_id, on_day FROM leads
        ) AS seen WHERE on_day <= :as_of GROUP BY person_id
    ),
    judged AS (
        SELECT who.person_id, who.area, greatest(who.since, signs.on_day) AS last_sign_on,
            :year - p.birth_year >= {_nearest("high_risk_age")} AS aged,
            leads.on_day > :as_of - interval '1 year' AS doubted,
            {_nearest("interval_months")} AS months, {_nearest("high_risk_interval_months")} AS sooner,
            {_nearest("notice_days")} AS notice_days
        FROM who
        LEFT JOIN signs ON signs.person_id = who.person_id
        LEFT JOIN leads ON leads.person_id = who.person_id
        LEFT JOIN persons p ON p.person_id = who.person_id
    ),
    due AS (
        SELECT *, (last_sign_on + make_interval(months => CASE WHEN aged OR doubted THEN sooner ELSE months END))::date
            AS due_on
        FROM judged
    )
    INSERT INTO proofs_of_life (proof_id, person_id, area, risk, because, last_sign_on, due_on, late_after)
    SELECT uuidv7(), person_id, area, CASE WHEN aged OR doubted THEN 'high' ELSE 'normal' END,
        CASE WHEN doubted THEN 'earlier_lead' WHEN aged THEN 'age' ELSE 'interval' END, last_sign_on,
        due_on, greatest(due_on, :as_of + notice_days)  -- nobody is late on the day of being asked
    FROM due WHERE due_on <= :as_of + notice_days
    ON CONFLICT DO NOTHING
    """  # noqa: S608 (the service's own SQL)
)

"""Certificates as departments tell them: whether a person can act, and so who may be paid, follows (notice 4.4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date

from pydantic_core import to_json
from sqlalchemy import TextClause, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Transaction
from libs.common.events.intake import CertificateClaim
from libs.common.projection import Received
from services.intake.certificates import held
from services.intake.person_records import current_account, person_in, save_person, tell_payee
from services.intake.vault import Vault


async def note_certificates(tx: Transaction, vault: Vault, received: Sequence[Received], *, on: date) -> None:
    """Keeps each certificate that was issued, renewed or assessed anew, and follows those whose day has come."""
    told = [
        {
            "fact_id": item.data.fact_id,
            "person_id": item.data.person_id,
            "occurred_on": item.data.occurred_on,
            "known_at": item.data.known_at,
            "awaited": item.data.occurred_on > on,
            "certificate": CertificateClaim(
                category=item.data.category,
                level=item.data.level,
                components=item.data.components,
                issued_on=item.data.occurred_on,
                expires_on=item.data.expires_on,
            ),
        }
        for item in received
    ]
    await _keep(tx, vault, _KEEP, told, on=on)


async def note_retractions(tx: Transaction, vault: Vault, received: Sequence[Received], *, on: date) -> None:
    """What is retracted never was, whichever of the two is heard of first; of certificates only it means anything."""
    told = [{"fact_id": item.data.retracts, "person_id": item.data.person_id} for item in received]
    await _keep(tx, vault, _RETRACT, told, on=on)


async def follow_awaited_certificates(tx: Transaction, vault: Vault, as_of: date) -> int:
    """Daily: those whose day has come since they were told; how many."""
    due = (await tx.connection.execute(_DUE, {"as_of": as_of})).all()
    await tx.lock(*{row.person_id for row in due})
    await follow_certificates(tx, vault, {row.person_id for row in due}, on=as_of)
    await tx.connection.execute(_COME, {"fact_ids": [row.fact_id for row in due]})
    return len(due)


async def certificate_held(tx: Transaction, person_id: str, *, on: date) -> CertificateClaim | None:
    """What the person's last approved application says of the certificate, and what was told of later days."""
    return (await _certificates_held(tx, [person_id], on=on)).get(person_id)


async def follow_certificates(tx: Transaction, vault: Vault, person_ids: Collection[str], *, on: date) -> None:
    """Tells of those who are paid what their certificates of now mean for who may be paid for them. The caller holds
    their locks."""
    if not person_ids:
        return
    found = await tx.connection.execute(_PAID, {"person_ids": list(person_ids)})
    known = {row["person_id"]: row for row in found.mappings()}
    for person_id, certificate in (await _certificates_held(tx, known, on=on)).items():
        before = known[person_id]["certificate"]
        if before is not None and CertificateClaim.model_validate(before) == certificate:
            continue
        person = person_in(vault, known[person_id])
        changed = replace(person, certificate=certificate)
        if (changed.cannot_act(on), changed.certificate_number(on)) != (
            person.cannot_act(on),
            person.certificate_number(on),
        ):
            changed = tell_payee(tx, vault, changed, await current_account(tx, vault, person_id), on=on)
        await save_person(tx, vault, changed)


async def _keep(
    tx: Transaction, vault: Vault, statement: TextClause, told: Sequence[Mapping[str, object]], *, on: date
) -> None:
    """Writes what was told under the ids that the persons go by now, and follows."""
    await tx.lock(*{str(item["person_id"]) for item in told})
    kept = await tx.connection.execute(statement, {"told": to_json(told, by_alias=True).decode()})
    person_ids = set(kept.scalars())
    await tx.lock(*person_ids)
    await follow_certificates(tx, vault, person_ids, on=on)


async def _certificates_held(tx: Transaction, person_ids: Collection[str], *, on: date) -> dict[str, CertificateClaim]:
    found = await tx.connection.execute(_CLAIMS, {"person_ids": list(person_ids), "on": on})
    claims: dict[str, list[CertificateClaim]] = {}
    for row in found:
        claims.setdefault(row.person_id, []).append(CertificateClaim.model_validate(row.certificate))
    return {person_id: certificate for person_id, told in claims.items() if (certificate := held(told)) is not None}


_KEEP = text(
    """
    INSERT INTO certificate_issues (fact_id, person_id, occurred_on, known_at, awaited, certificate)
    SELECT fact_id, goes_on_as(person_id), occurred_on, known_at, awaited, certificate
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (fact_id uuid, person_id text, occurred_on date,
        known_at timestamptz, awaited boolean, certificate jsonb)
    ON CONFLICT (fact_id) DO UPDATE SET occurred_on = excluded.occurred_on, known_at = excluded.known_at,
        awaited = excluded.awaited, certificate = excluded.certificate
    RETURNING person_id
    """
)
_RETRACT = text(
    """
    INSERT INTO certificate_issues (fact_id, person_id, retracted)
    SELECT fact_id, goes_on_as(person_id), true
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (fact_id uuid, person_id text)
    ON CONFLICT (fact_id) DO UPDATE SET retracted = true
    RETURNING person_id
    """
)
_DUE = text("SELECT fact_id, person_id FROM certificate_issues WHERE awaited AND occurred_on <= :as_of")
_COME = text("UPDATE certificate_issues SET awaited = false WHERE fact_id = ANY(CAST(:fact_ids AS uuid[]))")
# Who waits on a roster is told of once that is decided.
_PAID = text(
    """
    SELECT * FROM persons p WHERE person_id = ANY(:person_ids) AND merged_into IS NULL AND payee_version > 0
        AND NOT EXISTS (SELECT FROM roster_entries e WHERE e.person_id = p.person_id AND e.state = 'waiting')
    """
).columns(certificate=JSONB, incapacity=JSONB)
# An approval without a date of issue yields to whatever has one, as it does where entitlements are judged.
_CLAIMS = text(
    """
    SELECT person_id, certificate FROM (
        SELECT person_id, occurred_on AS since, known_at, fact_id AS id, certificate
        FROM certificate_issues
        WHERE person_id = ANY(:person_ids) AND occurred_on <= :on AND NOT retracted
        UNION ALL
        (SELECT DISTINCT ON (person_id) person_id,
            COALESCE(CAST(facts -> 'certificate' ->> 'issued_on' AS date), '-infinity'),
            CAST(decided_on AS timestamp) AT TIME ZONE 'Asia/Shanghai', application_id, facts -> 'certificate'
         FROM applications
         WHERE person_id = ANY(:person_ids) AND cardinality(granted) > 0
           AND jsonb_typeof(facts -> 'certificate') = 'object'
         ORDER BY person_id, decided_on DESC, application_id DESC)
    ) AS claims
    ORDER BY since, known_at, id
    """
).columns(certificate=JSONB)

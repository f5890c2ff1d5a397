"""Facts that decide whom to write to and when: deaths, certificates and their expiry, persons who are one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import delete, text, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.database import Filled, Transaction, rows
from libs.common.events.envelope import FactEvent
from libs.common.events.intake import ApplicationApproved, CertificateClaim, TakenOver
from libs.common.papers.printing import day_text
from libs.common.privacy import Sealer
from libs.common.projection import Received
from services.notification.composing import Draft, compose, survivors_of
from services.notification.parameters import Name, load_parameters
from services.notification.tables import contacts, facts, merged_persons, messages, payees

LIFE_EVENTS = {
    "person.died.v1": "died",
    "person.declared_dead.v1": "declared_dead",
    "person.reappeared.v1": "reappeared",
}


async def note_facts(tx: Transaction, received: Sequence[Received]) -> None:
    """Deaths, returns and certificates, each once."""
    await _keep(tx, [_fact(item.data, LIFE_EVENTS.get(item.envelope.type, "certificate")) for item in received])


def _fact(data: FactEvent, kind: str) -> dict[str, Any]:
    expires_on = getattr(data, "expires_on", None)
    return _row(data.fact_id, data.person_id, kind, data.occurred_on, expires_on)


def certificate_of(data: ApplicationApproved) -> dict[str, Any] | None:
    """The certificate that the federation confirmed with an application, if its dates are known."""
    return _certificate(data.application_id, data.person_id, data.facts.certificate)


def _certificate(application_id: UUID, person_id: str, claim: CertificateClaim | None) -> dict[str, Any] | None:
    if claim is None or claim.issued_on is None:
        return None
    return _row(application_id, person_id, "certificate", claim.issued_on, claim.expires_on)


async def note_certificates(tx: Transaction, approved: Sequence[ApplicationApproved]) -> None:
    await _keep(tx, [row for row in map(certificate_of, approved) if row is not None])


async def note_listed_certificates(tx: Transaction, recipients: Sequence[TakenOver]) -> None:
    """The same of who is taken over from a roster."""
    rows = [_certificate(a.application_id, r.person_id, a.certificate) for r in recipients for a in r.applications]
    await _keep(tx, [row for row in rows if row is not None])


def _row(fact_id: UUID, person_id: str, kind: str, occurred_on: date, expires_on: date | None) -> dict[str, Any]:
    return {
        "fact_id": fact_id,
        "person_id": person_id,
        "kind": kind,
        "occurred_on": occurred_on,
        "expires_on": expires_on,
        "retracted": False,
    }


async def _keep(tx: Transaction, made: Sequence[dict[str, Any]]) -> None:
    await tx.fill(_FACTS, list({row["fact_id"]: row for row in made}.values()))


# What was retracted before it was heard of stays retracted.
_FACTS = Filled(
    "facts",
    ("fact_id", "person_id", "kind", "occurred_on", "expires_on", "retracted"),
    "ON CONFLICT (fact_id) DO UPDATE SET kind = excluded.kind, occurred_on = excluded.occurred_on,"
    " expires_on = excluded.expires_on",
)


async def note_retractions(tx: Transaction, received: Sequence[Received]) -> None:
    """What is retracted never was, whichever of the two is heard of first."""
    upsert = insert(facts)
    await tx.connection.execute(
        upsert.on_conflict_do_update(index_elements=["fact_id"], set_={"retracted": True}),
        [{"fact_id": item.data.retracts, "person_id": item.data.person_id, "retracted": True} for item in received],
    )


async def tell_expiries(tx: Transaction, as_of: date, sealer: Sealer) -> int:
    """Daily: who is paid on a certificate that expires soon is told, half a year and a month ahead."""
    told = 0
    parameters = await load_parameters(tx)
    for name in _EXPIRY_NOTICES:
        by_area = parameters.by_layer(name, as_of)
        for area, months in by_area.items():
            values = {
                "as_of": as_of,
                "months": months,
                "area": area,
                "own": [other for other in by_area if other != area and other.startswith(area)],
                "cause": _CAUSE,
                "notice": name,
                "last": _EXPIRY_NOTICES[0],
            }
            found = rows(await tx.connection.execute(_EXPIRING, values))
            drafts = [
                Draft(
                    "certificate_expiring",
                    _CAUSE % (row["person_id"], row["expires_on"], name),
                    row["person_id"],
                    row["area"],
                    {"expires_on": day_text(row["expires_on"])},
                )
                for row in found
            ]
            told += await compose(tx, drafts, sealer)
    return told


_EXPIRY_NOTICES: tuple[Name, ...] = ("expiry.last", "expiry.first")
_CAUSE = "certificate:%s:%s:%s"
"""Of a notice: person, day of expiry, which of the two."""


# The nearer notice makes the farther one needless: whoever is first heard of in the last month is told once.
_EXPIRING = text("""
WITH valid AS (
    SELECT DISTINCT ON (person_id) person_id, expires_on FROM facts
    WHERE kind = 'certificate' AND NOT retracted AND person_id IN (
        SELECT person_id FROM facts WHERE kind = 'certificate' AND NOT retracted
            AND expires_on BETWEEN :as_of AND CAST(CAST(:as_of AS date) + make_interval(months => :months) AS date))
    ORDER BY person_id, occurred_on DESC, expires_on DESC
)
SELECT valid.person_id, valid.expires_on, min(s.area) AS area
FROM valid JOIN schedules AS s ON s.person_id = valid.person_id AND s.told_amount_fen IS NOT NULL
WHERE valid.expires_on BETWEEN :as_of AND CAST(CAST(:as_of AS date) + make_interval(months => :months) AS date)
    AND s.area LIKE :area || '%' AND NOT s.area LIKE ANY (SELECT own || '%' FROM unnest(CAST(:own AS text[])) AS own)
    AND NOT EXISTS (SELECT FROM deceased AS d WHERE d.person_id = valid.person_id)
    AND NOT EXISTS (
        SELECT FROM messages AS m WHERE m.kind = 'certificate_expiring'
            AND m.cause IN (format(:cause, valid.person_id, valid.expires_on, CAST(:notice AS text)),
                            format(:cause, valid.person_id, valid.expires_on, CAST(:last AS text))))
GROUP BY valid.person_id, valid.expires_on
""")


async def merge_persons(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Two ids turn out to be one person: what was told under one belongs to the other's story."""
    for item in received:
        old = item.data.person_id
        into = item.data.into_person_id
        await tx.lock(old, into)
        root = (await survivors_of(tx, [into])).get(into, into)
        if root == old:
            continue  # merged the other way round before: they are one already
        upsert = insert(merged_persons).values(person_id=old, into_person_id=root)
        await tx.connection.execute(
            upsert.on_conflict_do_update(index_elements=["person_id"], set_={"into_person_id": root})
        )
        await tx.connection.execute(
            update(merged_persons).where(merged_persons.c.into_person_id == old).values(into_person_id=root)
        )
        for table in (messages, facts):
            await tx.connection.execute(update(table).where(table.c.person_id == old).values(person_id=root))
        await _move_contact(tx, old, root, sealer)
        await tx.connection.execute(delete(payees).where(payees.c.person_id == old))


async def _move_contact(tx: Transaction, old: str, root: str, sealer: Sealer) -> None:
    """The survivor's own contact counts; where there is none, the other's goes on, under a version that any beats."""
    gone = rows(await tx.connection.execute(delete(contacts).where(contacts.c.person_id == old).returning(*contacts.c)))
    for row in gone:
        for field in ("phone", "name", "guardian_phone", "old_phone"):
            if row[field]:
                opened = sealer.open(row[field], "contacts", old, field)
                row[field] = sealer.seal(opened, "contacts", root, field)
        await tx.connection.execute(
            insert(contacts).values(**(row | {"person_id": root, "version": 0})).on_conflict_do_nothing()
        )

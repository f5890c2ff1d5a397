"""What is due to a person who died is paid to an heir who proves it: a payee of its own, with a document, by two
persons. Who was known dead at the approval is paid to no account of their own, an heir is awaited (domain: applicant
dies before approval); who was approved in life is paid there until an heir is approved. What was paid too much is never
claimed from the heir."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, FourEyes, NotFound
from libs.common.period import business_date
from libs.common.privacy import Sealer
from services.disbursement.errors import NotKnownDead

_DEATHS = "('person.died', 'person.declared_dead', 'died', 'declared_dead', 'alive')"


def _lives(person_id: str) -> str:
    """SQL: whether somebody who was told to be dead turned out to be alive. A schedule may cease to name the death
    because something else ended it before: only what cannot be told of the dead tells that one lives."""
    return f"""
        EXISTS (SELECT FROM entitlement_versions v WHERE v.person_id = {person_id} AND v.stopped_because IN {_DEATHS})
        AND NOT EXISTS (SELECT FROM entitlements e
                        WHERE e.person_id = {person_id} AND (e.to_heir OR e.stopped_because IN {_DEATHS}))
        AND (EXISTS (SELECT FROM entitlements e
                     WHERE e.person_id = {person_id} AND e.cause IN ('person.reappeared', 'fact.retracted'))
             OR EXISTS (SELECT FROM entitled_spans s
                        WHERE s.person_id = {person_id}
                          AND s.months @> CAST(date_trunc('month', CAST(:today AS date)) + interval '1 month' AS date)))
    """  # noqa: S608 (constants)


_END_HEIRS_OF_THE_LIVING = text(
    "UPDATE heirs h SET replaced_at = :now WHERE person_id = ANY(CAST(:ids AS text[]))"  # noqa: S608 (constants)
    f" AND approved_at IS NOT NULL AND replaced_at IS NULL AND {_lives('h.person_id')}"
)


@dataclass(frozen=True, slots=True)
class Heir:
    """`document_no`: of the certificate of inheritance, the notary's or the village committee's."""

    relation: str
    name: str
    bank: str
    number: str
    phone: str | None
    document_no: str


async def is_known_dead(tx: Transaction, person_id: str) -> bool:
    """Whether eligibility knows it (an entitlement ended by death, or granted after it), or a finding was confirmed,
    and nothing told since that the person lives."""
    found: bool = (
        await tx.connection.execute(
            text(
                f"SELECT (EXISTS (SELECT FROM entitlements WHERE person_id = :id"  # noqa: S608 (constants)
                f" AND (to_heir OR stopped_because IN {_DEATHS})) OR EXISTS (SELECT FROM findings"
                f" WHERE person_id = :id AND status = 'confirmed' AND kind IN {_DEATHS})) AND NOT ({_lives(':id')})"
            ),
            {"id": person_id, "today": business_date(tx.now)},
        )
    ).scalar_one()
    return found


async def await_heirs(tx: Transaction, person_ids: Collection[str]) -> None:
    """Of these persons, an heir is awaited for whoever was known dead at the approval; no longer for whoever was not.
    Who turns out to be alive is paid themselves again, whatever heir was approved meanwhile."""
    ids = {"ids": sorted(person_ids), "now": tx.now}
    await tx.connection.execute(_END_HEIRS_OF_THE_LIVING, ids | {"today": business_date(tx.now)})
    await tx.connection.execute(
        text(
            "UPDATE heirs h SET replaced_at = :now WHERE person_id = ANY(CAST(:ids AS text[])) AND number IS NULL"
            " AND replaced_at IS NULL"
            " AND NOT EXISTS (SELECT FROM entitlements e WHERE e.person_id = h.person_id AND e.to_heir)"
        ),
        ids,
    )
    await tx.connection.execute(
        text(
            "INSERT INTO heirs (heir_id, person_id, approved_at)"
            " SELECT DISTINCT ON (person_id) gen_random_uuid(), person_id, CAST(:now AS timestamptz) FROM entitlements"
            " WHERE person_id = ANY(CAST(:ids AS text[])) AND to_heir"
            " ON CONFLICT (person_id) WHERE approved_at IS NOT NULL AND replaced_at IS NULL DO NOTHING"
        ),
        ids,
    )


async def move_heirs(sealer: Sealer, tx: Transaction, old: str, root: str) -> None:
    """One id goes on as another: its heirs with it, sealed anew to their place. Of two in force, or two proposed, the
    other's stays, unless it only waits for one."""
    await tx.connection.execute(
        text(
            "WITH second AS (SELECT heir_id, approved_at FROM (SELECT heir_id, approved_at, row_number() OVER"
            " (PARTITION BY approved_at IS NULL ORDER BY number IS NULL, person_id <> :root) AS place FROM heirs"
            " WHERE person_id IN (:old, :root) AND replaced_at IS NULL) AS standing WHERE place > 1),"
            " dropped AS (DELETE FROM heirs WHERE heir_id IN (SELECT heir_id FROM second WHERE approved_at IS NULL))"
            " UPDATE heirs SET replaced_at = :now"
            " WHERE heir_id IN (SELECT heir_id FROM second WHERE approved_at IS NOT NULL)"
        ),
        {"old": old, "root": root, "now": tx.now},
    )
    moved = await tx.connection.execute(text("SELECT * FROM heirs WHERE person_id = :old"), {"old": old})
    for heir in moved.mappings().all():
        sealed = {
            column: heir[column]
            and sealer.seal(sealer.open(heir[column], "payees", old, column), "payees", root, column)
            for column in ("holder_name", "phone", "number")
        }
        await tx.connection.execute(
            text(
                "UPDATE heirs SET person_id = :root, holder_name = :holder_name, phone = :phone, number = :number"
                " WHERE heir_id = :heir_id"
            ),
            {"root": root, "heir_id": heir["heir_id"], **sealed},
        )


async def turn_to_estates(tx: Transaction, person_ids: Collection[str]) -> None:
    """Whatever is still claimed from these persons is owed by the estate of those who died, and not set off any more;
    by themselves where a death was annulled."""
    await tx.connection.execute(
        text(
            "WITH dead AS (SELECT DISTINCT person_id FROM entitlements"  # noqa: S608 (a constant)
            f" WHERE person_id = ANY(CAST(:ids AS text[])) AND stopped_because IN {_DEATHS}),"
            " turned AS (UPDATE recoveries SET debtor = 'estate', offset_percent = 0, offset_basis = NULL"
            " WHERE person_id IN (SELECT person_id FROM dead) AND status = 'open' AND debtor = 'person'"
            " RETURNING recovery_id),"
            " back AS (UPDATE recoveries SET debtor = 'person' WHERE person_id = ANY(CAST(:ids AS text[]))"
            " AND person_id NOT IN (SELECT person_id FROM dead) AND status = 'open' AND debtor = 'estate'"
            f" AND NOT EXISTS (SELECT FROM findings f WHERE f.person_id = recoveries.person_id"
            f" AND f.status = 'confirmed' AND f.lifted_at IS NULL AND f.kind IN {_DEATHS}))"
            " UPDATE payments SET offset_fen = 0 WHERE status = 'pending'"
            " AND offset_recovery_id IN (SELECT recovery_id FROM turned)"
        ),
        {"ids": list(person_ids)},
    )


def names_of(found: Iterable[Mapping[str, Any]], sealer: Sealer) -> dict[UUID, str]:
    """What the heirs are called, by their id; who is only awaited has no name."""
    return {
        row["heir_id"]: sealer.open(row["holder_name"], "payees", row["person_id"], "holder_name")
        for row in found
        if row["holder_name"] is not None
    }


async def propose_heir(tx: Transaction, principal: Principal, sealer: Sealer, person_id: str, heir: Heir) -> UUID:
    """Proposes whom to pay what is due to a dead person. NotFound, `NotKnownDead`, Conflict."""
    await _require_sight(tx, principal, person_id)
    if not await is_known_dead(tx, person_id):
        raise NotKnownDead
    heir_id = new_id()

    def sealed(value: str | None, column: str) -> str | None:
        return sealer.seal(value, "payees", person_id, column) if value else None

    new = await tx.connection.execute(
        text(
            "INSERT INTO heirs (heir_id, person_id, relation, holder_name, phone, bank, number, number_last4,"
            " document_no, proposed_by) VALUES (:heir_id, :person_id, :relation, :holder_name, :phone, :bank, :number,"
            " :last4, :document_no, :sub) ON CONFLICT (person_id) WHERE approved_at IS NULL DO NOTHING RETURNING true"
        ),
        {
            "heir_id": heir_id,
            "person_id": person_id,
            "relation": heir.relation,
            "holder_name": sealed(heir.name, "holder_name"),
            "phone": sealed(heir.phone, "phone"),
            "bank": heir.bank,
            "number": sealed(heir.number, "number"),
            "last4": heir.number[-4:],
            "document_no": heir.document_no,
            "sub": principal.sub,
        },
    )
    if new.scalar_one_or_none() is None:
        raise Conflict("an heir is proposed already")
    await audit.record(tx, principal, "propose heir", str(heir_id), person_id=person_id, reason=heir.document_no)
    return heir_id


async def approve_heir(tx: Transaction, principal: Principal, heir_id: UUID) -> dict[str, Any]:
    """A second person approves; from now on what is not sent goes to the heir. `FourEyes`, `NotKnownDead`, NotFound,
    Conflict."""
    row = (
        await tx.connection.execute(text("SELECT * FROM heirs WHERE heir_id = :id FOR UPDATE"), {"id": heir_id})
    ).one_or_none()
    if row is None:
        raise NotFound("no such heir")
    await _require_sight(tx, principal, row.person_id)
    if row.approved_at is not None:
        raise Conflict("approved already")
    if row.proposed_by == principal.sub:
        raise FourEyes("该继承人由您提出，应由他人批准 (you proposed this heir)")
    await tx.lock(row.person_id)
    if not await is_known_dead(tx, row.person_id):
        raise NotKnownDead
    await tx.connection.execute(
        text(
            "UPDATE heirs SET replaced_at = :now WHERE person_id = :person_id AND approved_at IS NOT NULL"
            " AND replaced_at IS NULL"
        ),
        {"person_id": row.person_id, "now": tx.now},
    )
    await tx.connection.execute(
        text("UPDATE heirs SET approved_by = :sub, approved_at = :now WHERE heir_id = :id"),
        {"id": heir_id, "sub": principal.sub, "now": tx.now},
    )
    await audit.record(tx, principal, "approve heir", str(heir_id), person_id=row.person_id)
    return {"heir_id": heir_id, "person_id": row.person_id, "relation": row.relation, "status": "approved"}


async def _require_sight(tx: Transaction, principal: Principal, person_id: str) -> None:
    area: str | None = (
        await tx.connection.execute(text("SELECT area FROM payees WHERE person_id = :id"), {"id": person_id})
    ).scalar_one_or_none()
    if area is None:
        raise NotFound("no such person")
    principal.require_sight(area, "person")

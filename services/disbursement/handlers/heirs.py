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
from libs.common.privacy import Sealer
from services.disbursement.errors import NotKnownDead


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
    """Whether the person died or was declared dead, and nothing annulled it."""
    found = await tx.connection.execute(
        text("SELECT true FROM known_dead WHERE person_id = :id LIMIT 1"), {"id": person_id}
    )
    return found.scalar_one_or_none() is not None


async def await_heirs(tx: Transaction, person_ids: Collection[str]) -> None:
    """Of these persons, an heir is awaited for whoever was known dead at the approval; no longer for whoever was not.
    Who turns out to be alive is paid themselves again, whatever heir was approved meanwhile."""
    ids = {"ids": sorted(person_ids), "now": tx.now}
    await tx.connection.execute(
        text(
            "UPDATE heirs h SET replaced_at = :now WHERE person_id = ANY(CAST(:ids AS text[]))"
            " AND approved_at IS NOT NULL AND replaced_at IS NULL AND CASE WHEN number IS NULL"
            " THEN NOT EXISTS (SELECT FROM entitlements e WHERE e.person_id = h.person_id AND e.to_heir)"
            " ELSE NOT EXISTS (SELECT FROM known_dead d WHERE d.person_id = h.person_id) END"
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
            "WITH dead AS (SELECT person_id FROM known_dead WHERE person_id = ANY(CAST(:ids AS text[]))),"
            " turned AS (UPDATE recoveries SET debtor = 'estate', offset_percent = 0, offset_basis = NULL"
            " WHERE person_id IN (SELECT person_id FROM dead) AND status = 'open' AND debtor = 'person'"
            " RETURNING recovery_id),"
            " back AS (UPDATE recoveries SET debtor = 'person' WHERE person_id = ANY(CAST(:ids AS text[]))"
            " AND person_id NOT IN (SELECT person_id FROM dead) AND status = 'open' AND debtor = 'estate')"
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
            " :last4, :document_no, :sub) ON CONFLICT (person_id) WHERE approved_at IS NULL AND replaced_at IS NULL"
            " DO NOTHING RETURNING true"
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
    row = await _locked(tx, principal, heir_id)
    if row.approved_at is not None:
        raise Conflict("approved already")
    if row.proposed_by == principal.sub:
        raise FourEyes("该继承人由您提出，应由他人批准 (you proposed this heir)")
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


async def propose_end(tx: Transaction, principal: Principal, heir_id: UUID, *, reason: str) -> dict[str, Any]:
    """Proposes that an heir in force is none any more; a second person approves. One that is only proposed ends at
    once, for nothing is paid to it. NotFound, Conflict."""
    row = await _locked(tx, principal, heir_id)
    if row.number is None:
        raise Conflict("an heir is awaited: nobody is named who could cease to be one")
    if row.end_proposed_by is not None:
        raise Conflict("its end is proposed already")
    await tx.connection.execute(
        text(
            "UPDATE heirs SET end_reason = :reason, end_proposed_by = :sub,"
            " replaced_at = CASE WHEN approved_at IS NULL THEN CAST(:now AS timestamptz) END WHERE heir_id = :id"
        ),
        {"id": heir_id, "reason": reason, "sub": principal.sub, "now": tx.now},
    )
    action = "withdraw heir" if row.approved_at is None else "propose end of heir"
    await audit.record(tx, principal, action, str(heir_id), person_id=row.person_id, reason=reason)
    status = "replaced" if row.approved_at is None else "ending"
    return {"heir_id": heir_id, "person_id": row.person_id, "status": status}


async def approve_end(tx: Transaction, principal: Principal, heir_id: UUID) -> dict[str, Any]:
    """A second person approves that the heir is none any more: what is not sent goes where it would go without.
    `FourEyes`, NotFound, Conflict."""
    row = await _locked(tx, principal, heir_id)
    if row.end_proposed_by is None:
        raise Conflict("its end is not proposed")
    if row.end_proposed_by == principal.sub:
        raise FourEyes("终止该继承人由您提出，应由他人批准 (you proposed the end of this heir)")
    await tx.connection.execute(
        text("UPDATE heirs SET ended_by = :sub, replaced_at = :now WHERE heir_id = :id"),
        {"id": heir_id, "sub": principal.sub, "now": tx.now},
    )
    await await_heirs(tx, {row.person_id})
    await audit.record(tx, principal, "end heir", str(heir_id), person_id=row.person_id, reason=row.end_reason)
    return {"heir_id": heir_id, "person_id": row.person_id, "status": "replaced"}


async def refuse_end(tx: Transaction, principal: Principal, heir_id: UUID, *, reason: str) -> dict[str, Any]:
    """The heir stays one. NotFound, Conflict."""
    row = await _locked(tx, principal, heir_id)
    if row.end_proposed_by is None:
        raise Conflict("its end is not proposed")
    await tx.connection.execute(
        text("UPDATE heirs SET end_reason = NULL, end_proposed_by = NULL WHERE heir_id = :id"), {"id": heir_id}
    )
    await audit.record(tx, principal, "refuse end of heir", str(heir_id), person_id=row.person_id, reason=reason)
    return {"heir_id": heir_id, "person_id": row.person_id, "status": "approved"}


async def _locked(tx: Transaction, principal: Principal, heir_id: UUID) -> Any:
    """The heir's row, its person locked. NotFound, Conflict for one that was replaced."""
    of_whom = text("SELECT person_id FROM heirs WHERE heir_id = :id")
    person_id: str | None = (await tx.connection.execute(of_whom, {"id": heir_id})).scalar_one_or_none()
    if person_id is None:
        raise NotFound("no such heir")
    await _require_sight(tx, principal, person_id)
    await tx.lock(person_id)
    row = (await tx.connection.execute(text("SELECT * FROM heirs WHERE heir_id = :id"), {"id": heir_id})).one()
    if row.replaced_at is not None:
        raise Conflict("replaced already")
    return row


async def _require_sight(tx: Transaction, principal: Principal, person_id: str) -> None:
    area: str | None = (
        await tx.connection.execute(text("SELECT area FROM payees WHERE person_id = :id"), {"id": person_id})
    ).scalar_one_or_none()
    if area is None:
        raise NotFound("no such person")
    principal.require_sight(area, "person")

"""Registers of cards, guardianships and institutions as departments tell them: kept, and set against what is on record
(notice 4.4 to 4.6). A lead is opened once, done when both say the same again, and dismissed by civil affairs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.consumer import Received
from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, NotFound
from libs.common.events.matching import RegisteredCard, RegisteredGuardian, RegisteredResidence, RegisterTold
from libs.common.working_days import working_days_after
from services.intake.person_records import current_account, current_guardian, person_in, save_person, tell_payee
from services.intake.persons import Person
from services.intake.policy_records import parameters_of
from services.intake.registers import IN_QUESTION, LeadKind, OnRecord, Registers, leads_of
from services.intake.tables import persons, register_leads
from services.intake.vault import Vault

_SOURCE_OF: dict[LeadKind, str] = {
    "own_card_active": "social_cards",
    "own_card_unusable": "social_cards",
    "guardianship_ended": "guardianships",
    "guardian_differs": "guardianships",
    "guardians_contradict": "guardianships",
    "institution_entered": "institution_residents",
    "institution_left": "institution_residents",
    "institutions_contradict": "institution_residents",
}


class NoOpenLead(Conflict):
    """What the register said is settled, or dismissed, already."""

    type = "no-open-lead"


async def note_registers(tx: Transaction, vault: Vault, received: Sequence[Received], *, on: date) -> None:
    """Keeps what the registers say, and sets it against what is on record."""
    ids = {item.data.person_id for item in received}
    await tx.lock(*ids)
    found = await tx.connection.execute(_GO_ON_AS, {"ids": list(ids)})
    told = {row.told_as: row.person_id for row in found}
    await tx.lock(*told.values())
    rows_told = [
        {"person_id": told[item.data.person_id], **_kept(item.data)}
        for item in sorted(received, key=lambda item: item.data.version)
    ]
    for row in rows_told:
        await tx.connection.execute(_KEEP, row)
    await _follow(tx, vault, set(told.values()), on=on)


async def follow_registers(tx: Transaction, vault: Vault, as_of: date) -> int:
    """Daily: those who are paid by now, and those of whom a register says something else from this day on; how many."""
    due = (await tx.connection.execute(_DUE, {"as_of": as_of})).scalars().all()
    await tx.lock(*due)
    await _follow(tx, vault, due, on=as_of)
    return len(due)


async def settle_leads(tx: Transaction, vault: Vault, person: Person, *, on: date) -> Person:
    """Opens what differs now, and closes what does not any more. The caller holds the lock, and tells who pays."""
    found = await tx.connection.execute(_REGISTERS, {"person_id": person.person_id})
    told = {row["source"]: row for row in found.mappings()}
    if not told:
        return person
    registers = Registers(
        cards=[RegisteredCard.model_validate(each) for each in _entries(told, "social_cards")],
        guardians=[RegisteredGuardian.model_validate(each) for each in _entries(told, "guardianships")],
        residences=[RegisteredResidence.model_validate(each) for each in _entries(told, "institution_residents")],
    )
    kinds = set(leads_of(registers, await _on_record(tx, vault, person), cannot_act=person.cannot_act(on), on=on))
    await tx.connection.execute(_DONE, {"person_id": person.person_id, "kinds": sorted(kinds), "on": on})
    days = (await parameters_of(tx, person.area)).days("register.answer_days", on)
    due_on = working_days_after(on, days)
    for kind in sorted(kinds):
        row = told[_SOURCE_OF[kind]]
        opened = {"lead_id": new_id(), "person_id": person.person_id, "kind": kind, "source": row["source"]}
        said = {"as_of": row["as_of"], "said": to_json(row["entries"]).decode()}
        await tx.connection.execute(_OPEN, {**opened, **said, "on": on, "due_on": due_on})
    awaited = {"person_id": person.person_id, "looked_at_on": registers.next_day(on)}
    await tx.connection.execute(_LOOK_AGAIN, awaited)
    open_kinds = (await tx.connection.execute(_OPEN_KINDS, {"person_id": person.person_id})).scalars()
    return replace(person, guardian_in_question=not IN_QUESTION.isdisjoint(open_kinds))


async def dismiss_lead(
    tx: Transaction, vault: Vault, caller: Principal, lead_id: UUID, *, reason: str, on: date
) -> None:
    """What is on record is right: it stays, and whoever is on record is paid again. NotFound, NoOpenLead."""
    query = select(register_leads, persons.c.area).join(persons, persons.c.person_id == register_leads.c.person_id)
    query = query.where(register_leads.c.lead_id == lead_id)
    seen = (await tx.connection.execute(query)).one_or_none()
    if seen is None:
        raise NotFound("no such lead")
    caller.require_sight(seen.area, "lead")
    await tx.lock(seen.person_id)
    dismissed = await tx.connection.execute(
        update(register_leads)
        .where(register_leads.c.lead_id == lead_id, register_leads.c.status == "open")
        .values(status="dismissed", dismissed_by=caller.sub, reason=reason, closed_on=on)
    )
    if dismissed.rowcount == 0:
        raise NoOpenLead
    await record(tx, caller, "dismiss register lead", str(lead_id), person_id=seen.person_id, reason=reason)
    await _follow(tx, vault, [seen.person_id], on=on)


async def _follow(tx: Transaction, vault: Vault, person_ids: Collection[str], *, on: date) -> None:
    """Of those who are paid; who is not yet is looked at when they are. The caller holds their locks."""
    found = await tx.connection.execute(_PAID, {"person_ids": list(person_ids)})
    for row in found.mappings().all():
        person = person_in(vault, row)
        settled = await settle_leads(tx, vault, person, on=on)
        if settled != person:
            account = await current_account(tx, vault, person.person_id)
            await save_person(tx, vault, tell_payee(tx, vault, settled, account, on=on))


async def _on_record(tx: Transaction, vault: Vault, person: Person) -> OnRecord:
    account = await current_account(tx, vault, person.person_id)
    recorded = await current_guardian(tx, vault, person.person_id)
    if recorded is None:
        return OnRecord(account)
    number = recorded.guardian.id_number
    return OnRecord(account, number and vault.persons.person_id(number), recorded.guardian.org_code)


def _kept(told: RegisterTold) -> dict[str, Any]:
    entries = [*told.cards, *told.guardians, *told.residences]
    return {
        "source": told.source,
        "version": told.version,
        "as_of": told.as_of,
        "entries": to_json([entry.model_dump(mode="json", by_alias=True) for entry in entries]).decode(),
    }


def _entries(told: dict[str, Any], source: str) -> list[dict[str, Any]]:
    return list(told[source]["entries"]) if source in told else []


_GO_ON_AS = text(
    "SELECT told_as, goes_on_as(told_as) AS person_id FROM unnest(CAST(:ids AS text[])) AS given (told_as)"
)
# Looked at from the day that it is told on, until the person is paid.
_KEEP = text(
    """
    INSERT INTO registers AS known (person_id, source, version, as_of, entries, looked_at_on)
    VALUES (:person_id, :source, :version, :as_of, CAST(:entries AS jsonb), :as_of)
    ON CONFLICT (person_id, source) DO UPDATE SET version = excluded.version, as_of = excluded.as_of,
        entries = excluded.entries, looked_at_on = excluded.looked_at_on
    WHERE known.version < excluded.version
    """
)
_REGISTERS = text("SELECT * FROM registers WHERE person_id = :person_id").columns(entries=JSONB)
_LOOK_AGAIN = text("UPDATE registers SET looked_at_on = :looked_at_on WHERE person_id = :person_id")
_IS_PAID = """
    p.merged_into IS NULL AND p.payee_version > 0
    AND NOT EXISTS (SELECT FROM roster_entries e WHERE e.person_id = p.person_id AND e.state = 'waiting')
"""
_DUE = text(
    "SELECT DISTINCT p.person_id FROM registers r JOIN persons p USING (person_id)"  # noqa: S608 (a constant)
    f" WHERE r.looked_at_on <= :as_of AND {_IS_PAID} ORDER BY p.person_id"
)
_PAID = text(f"SELECT * FROM persons p WHERE person_id = ANY(:person_ids) AND {_IS_PAID}").columns(  # noqa: S608 (a constant)
    certificate=JSONB, incapacity=JSONB
)
_DONE = text(
    "UPDATE register_leads SET status = 'done', closed_on = :on"
    " WHERE person_id = :person_id AND status = 'open' AND kind <> ALL(:kinds)"
)
# What was dismissed comes back only when the register says other.
_OPEN = text(
    """
    INSERT INTO register_leads AS lead (lead_id, person_id, kind, source, as_of, said, opened_on, due_on)
    SELECT CAST(:lead_id AS uuid), :person_id, :kind, :source, CAST(:as_of AS date), CAST(:said AS jsonb),
        CAST(:on AS date), CAST(:due_on AS date)
    WHERE NOT EXISTS (SELECT FROM register_leads WHERE person_id = :person_id AND kind = :kind
                      AND status = 'dismissed' AND said = CAST(:said AS jsonb))
    ON CONFLICT (person_id, kind) WHERE status = 'open' DO UPDATE SET as_of = excluded.as_of, said = excluded.said
    """
)
_OPEN_KINDS = text("SELECT kind FROM register_leads WHERE person_id = :person_id AND status = 'open'")

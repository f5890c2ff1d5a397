"""Registers of cards, guardianships and institutions as departments tell them: kept, and set against what is on record
(notice 4.4 to 4.6). A lead is opened once, done when both say the same again, and dismissed by two persons."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, FourEyes, NotFound
from libs.common.events.matching import RegisteredCard, RegisteredGuardian, RegisteredResidence, RegisterTold
from libs.common.projection import Received
from libs.common.working_days import working_days_after
from services.intake.person_records import current_account, current_guardian, person_in, save_person, tell_payee
from services.intake.persons import Person, RecordedAccount, RecordedGuardian
from services.intake.policy_records import parameters_of
from services.intake.registers import IN_QUESTION, LeadKind, OnRecord, Registers, leads_of
from services.intake.tables import persons, register_leads
from services.intake.vault import Vault

_SOURCE_OF: dict[LeadKind, str] = {
    "own_card_active": "social_cards",
    "own_card_unusable": "social_cards",
    "own_card_differs": "social_cards",
    "own_card_unlisted": "social_cards",
    "guardianship_ended": "guardianships",
    "guardian_differs": "guardianships",
    "guardian_unlisted": "guardianships",
    "guardians_contradict": "guardianships",
    "institution_entered": "institution_residents",
    "institution_left": "institution_residents",
    "institution_unlisted": "institution_residents",
    "institutions_contradict": "institution_residents",
}


class NoOpenLead(Conflict):
    """What the register said is settled, or dismissed, already."""

    type = "no-open-lead"


class NoDismissal(Conflict):
    """Nobody proposed to dismiss it, or the register has said something else since."""

    type = "no-dismissal"


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
    told = await _told_of(tx, person.person_id)
    if not told:
        return person
    registers = _registers_in(told)
    account = await current_account(tx, vault, person.person_id)
    paid_to = on_record(vault, account, await current_guardian(tx, vault, person.person_id))
    kinds = set(leads_of(registers, paid_to, cannot_act=person.cannot_act(on), on=on))
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


async def against_registers(
    tx: Transaction, person: Person, would_be: OnRecord, sources: Collection[str], *, on: date
) -> list[LeadKind]:
    """What these registers would say against it, if this were on record: for who proposes it, and who decides."""
    registers = _registers_in(await _told_of(tx, person.person_id))
    kinds = leads_of(registers, would_be, cannot_act=person.cannot_act(on), on=on)
    return [kind for kind in kinds if _SOURCE_OF[kind] in sources]


async def propose_dismissal(tx: Transaction, caller: Principal, lead_id: UUID, *, reason: str) -> None:
    """Proposes that what is on record is right; in the place of a proposal before. NotFound, NoOpenLead."""
    lead = await _open_lead(tx, caller, lead_id)
    await _save_lead(tx, lead_id, dismissal_proposed_by=caller.sub, reason=reason)
    await record(tx, caller, "propose to dismiss register lead", str(lead_id), person_id=lead.person_id, reason=reason)


async def approve_dismissal(tx: Transaction, vault: Vault, caller: Principal, lead_id: UUID, *, on: date) -> None:
    """What is on record stays, and whoever is on record is paid again. NotFound, NoOpenLead, NoDismissal, and FourEyes
    for who proposed it."""
    lead = await _open_lead(tx, caller, lead_id)
    if lead.dismissal_proposed_by is None:
        raise NoDismissal
    if lead.dismissal_proposed_by == caller.sub:
        raise FourEyes("维持登记由您提出 (you proposed this)")
    await _save_lead(tx, lead_id, status="dismissed", dismissed_by=caller.sub, closed_on=on)
    await record(tx, caller, "dismiss register lead", str(lead_id), person_id=lead.person_id, reason=lead.reason)
    await _follow(tx, vault, [lead.person_id], on=on)


async def _open_lead(tx: Transaction, caller: Principal, lead_id: UUID) -> Any:
    """The lead's row, its person locked."""
    query = select(register_leads, persons.c.area).join(persons, persons.c.person_id == register_leads.c.person_id)
    query = query.where(register_leads.c.lead_id == lead_id)
    seen = (await tx.connection.execute(query)).one_or_none()
    if seen is None:
        raise NotFound("no such lead")
    caller.require_sight(seen.area, "lead")
    await tx.lock(seen.person_id)
    lead = (await tx.connection.execute(query)).one()  # again, behind the lock
    if lead.status != "open":
        raise NoOpenLead
    return lead


async def _save_lead(tx: Transaction, lead_id: UUID, **changes: Any) -> None:
    await tx.connection.execute(update(register_leads).where(register_leads.c.lead_id == lead_id).values(**changes))


async def _follow(tx: Transaction, vault: Vault, person_ids: Collection[str], *, on: date) -> None:
    """Of those who are paid; who is not yet is looked at when they are. The caller holds their locks."""
    found = await tx.connection.execute(_PAID, {"person_ids": list(person_ids)})
    for row in found.mappings().all():
        person = person_in(vault, row)
        settled = await settle_leads(tx, vault, person, on=on)
        if settled != person:
            account = await current_account(tx, vault, person.person_id)
            await save_person(tx, vault, tell_payee(tx, vault, settled, account, on=on))


def on_record(vault: Vault, account: RecordedAccount | None, recorded: RecordedGuardian | None) -> OnRecord:
    """Account and guardian as registers name them."""
    number = account.account.number if account else None
    token = number and vault.persons.token("account", number)
    if recorded is None:
        return OnRecord(account, token)
    guardian = recorded.guardian.id_number
    return OnRecord(account, token, guardian and vault.persons.person_id(guardian), recorded.guardian.org_code)


async def _told_of(tx: Transaction, person_id: str) -> dict[str, Any]:
    """What each register says of the person, by its source."""
    found = await tx.connection.execute(_REGISTERS, {"person_id": person_id})
    return {row["source"]: row for row in found.mappings()}


def _registers_in(told: Mapping[str, Any]) -> Registers:
    return Registers(
        cards=[RegisteredCard.model_validate(each) for each in _entries(told, "social_cards")],
        guardians=[RegisteredGuardian.model_validate(each) for each in _entries(told, "guardianships")],
        residences=[RegisteredResidence.model_validate(each) for each in _entries(told, "institution_residents")],
        unlisted=frozenset(source for source, row in told.items() if not row["listed"]),
    )


def _kept(told: RegisterTold) -> dict[str, Any]:
    entries = [*told.cards, *told.guardians, *told.residences]
    return {
        "source": told.source,
        "version": told.version,
        "as_of": told.as_of,
        "listed": told.listed,
        "entries": to_json([entry.model_dump(mode="json", by_alias=True) for entry in entries]).decode(),
    }


def _entries(told: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    return list(told[source]["entries"]) if source in told else []


_GO_ON_AS = text(
    "SELECT told_as, goes_on_as(told_as) AS person_id FROM unnest(CAST(:ids AS text[])) AS given (told_as)"
)
# Looked at from the day that it is told on, until the person is paid.
_KEEP = text(
    """
    INSERT INTO registers AS known (person_id, source, version, as_of, listed, entries, looked_at_on)
    VALUES (:person_id, :source, :version, :as_of, :listed, CAST(:entries AS jsonb), :as_of)
    ON CONFLICT (person_id, source) DO UPDATE SET version = excluded.version, as_of = excluded.as_of,
        listed = excluded.listed, entries = excluded.entries, looked_at_on = excluded.looked_at_on
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
# What was dismissed comes back only when the register says other; then a dismissal proposed before is of no use either.
_OPEN = text(
    """
    INSERT INTO register_leads AS lead (lead_id, person_id, kind, source, as_of, said, opened_on, due_on)
    SELECT CAST(:lead_id AS uuid), :person_id, :kind, :source, CAST(:as_of AS date), CAST(:said AS jsonb),
        CAST(:on AS date), CAST(:due_on AS date)
    WHERE NOT EXISTS (SELECT FROM register_leads WHERE person_id = :person_id AND kind = :kind
                      AND status = 'dismissed' AND said = CAST(:said AS jsonb))
    ON CONFLICT (person_id, kind) WHERE status = 'open' DO UPDATE SET as_of = excluded.as_of, said = excluded.said,
        dismissal_proposed_by = CASE WHEN lead.said = excluded.said THEN lead.dismissal_proposed_by END,
        reason = CASE WHEN lead.said = excluded.said THEN lead.reason END
    """
)
_OPEN_KINDS = text("SELECT kind FROM register_leads WHERE person_id = :person_id AND status = 'open'")

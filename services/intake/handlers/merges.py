"""A corrected resident ID: two officials agree, and what lay under the wrong one goes on under the right one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from sqlalchemy import func, select, text, update

from libs.common.database import Transaction
from libs.common.events.intake import PersonIdCorrected
from libs.common.identity import ResidentId
from libs.common.period import business_date
from services.intake.application_records import filed_in, save_declaration
from services.intake.declarations import Declaration
from services.intake.errors import BeingTakenOver, BothGranted
from services.intake.payee import comes_of_age_on
from services.intake.person_records import (
    current_account,
    current_guardian,
    find_person,
    load_person,
    save_person,
    tell_contact,
    tell_payee,
)
from services.intake.persons import Person
from services.intake.tables import accounts, applications, applied_subsidies, guardians, persons
from services.intake.vault import Vault

_RESIDENT_ID_DIGITS = 18
_OF_A_PERSON = (
    "applications", "accounts", "guardians", "changes", "objections", "transfers",
    "certificate_issues", "vouchings", "registers", "register_leads",
)  # fmt: skip


async def correct_id_number(tx: Transaction, vault: Vault, person_id: str, id_number: str, *, on: date) -> str:
    """The person under the right resident ID; both must be locked. Who is known under it already becomes one with them.

    BothGranted when both have one subsidy open or granted; BeingTakenOver while either waits on a roster. Eligibility,
    who pays and who writes are told.
    """
    into_person_id = vault.persons.person_id(id_number)
    wrong = await load_person(tx, vault, person_id)
    known = await find_person(tx, vault, into_person_id)
    await _require_not_waiting(tx, person_id, into_person_id)
    await _require_disjoint(tx, person_id, into_person_id)
    birth_date = ResidentId.parse(id_number, on=on).birth_date
    adult_on = comes_of_age_on(birth_date)
    right = known or Person(into_person_id, wrong.area, wrong.name, id_number)
    right = replace(
        right,
        phone=right.phone or wrong.phone,
        phone_given_at=right.phone_given_at if right.phone else wrong.phone_given_at,
        adult_on=adult_on if adult_on > on else None,
        certificate=right.certificate or wrong.certificate,
        incapacity=right.incapacity or wrong.incapacity,
        guardian_in_question=right.guardian_in_question or wrong.guardian_in_question,
    )
    await save_person(tx, vault, right)
    await _move(tx, vault, wrong, right)
    account = await current_account(tx, vault, into_person_id)
    right = tell_contact(tx, vault, right, await current_guardian(tx, vault, into_person_id))
    if max(wrong.payee_version, right.payee_version) > 0:
        right = tell_payee(tx, vault, right, account, on=on)
    await save_person(tx, vault, right)
    tx.publish(PersonIdCorrected(person_id=person_id, version=1, into_person_id=into_person_id))
    return into_person_id


async def _require_not_waiting(tx: Transaction, *person_ids: str) -> None:
    waiting = text("SELECT 1 FROM roster_entries WHERE state = 'waiting' AND person_id = ANY(:person_ids) LIMIT 1")
    if (await tx.connection.execute(waiting, {"person_ids": list(person_ids)})).first() is not None:
        raise BeingTakenOver


async def _require_disjoint(tx: Transaction, person_id: str, into_person_id: str) -> None:
    found = await tx.connection.execute(
        select(applied_subsidies.c.subsidy)
        .where(
            applied_subsidies.c.person_id.in_((person_id, into_person_id)),
            applied_subsidies.c.state.in_(("open", "granted")),
        )
        .group_by(applied_subsidies.c.subsidy)
        .having(func.count() > 1)
    )
    if both := sorted(found.scalars()):
        raise BothGranted(", ".join(both))


async def _move(tx: Transaction, vault: Vault, wrong: Person, right: Person) -> None:
    """What was known under the wrong id; of two accounts or guardians in force the right person's own stays."""
    for table in (accounts, guardians):
        in_force = select(table.c.person_id).where(table.c.person_id == right.person_id, table.c.replaced_at.is_(None))
        if (await tx.connection.execute(in_force)).first() is not None:
            await tx.connection.execute(
                update(table)
                .where(table.c.person_id == wrong.person_id, table.c.replaced_at.is_(None))
                .values(replaced_at=tx.now)
            )
    both = {"wrong": wrong.person_id, "right": right.person_id}
    await tx.connection.execute(
        text("UPDATE changes SET status = 'replaced' WHERE person_id = :wrong AND status = 'pending'"), both
    )
    await tx.connection.execute(_DROP_SECOND_REGISTERS, both)
    await tx.connection.execute(_CLOSE_SECOND_LEADS, both | {"on": business_date(tx.now)})
    for name in _OF_A_PERSON:
        await tx.connection.execute(text(f"UPDATE {name} SET person_id = :right WHERE person_id = :wrong"), both)  # noqa: S608 (tables)
    await tx.connection.execute(
        update(persons).where(persons.c.person_id == wrong.person_id).values(merged_into=right.person_id)
    )
    moved = await tx.connection.execute(select(applications).where(applications.c.person_id == right.person_id))
    for row in moved.mappings().all():
        filed = filed_in(row)
        declaration = filed.declaration(vault)
        if declaration.applicant.id_number != right.id_number:
            corrected = _corrected(declaration, right.id_number)
            await save_declaration(tx, vault, filed.application.application_id, corrected)


def _corrected(declaration: Declaration, id_number: str) -> Declaration:
    applicant = declaration.applicant
    return declaration.model_copy(
        update={
            "applicant": applicant.model_copy(
                update={
                    "id_number": id_number,
                    # A certificate's number begins with the resident ID of its holder.
                    "certificate_number": id_number + applicant.certificate_number[_RESIDENT_ID_DIGITS:],
                }
            )
        }
    )


# Of two registers, or two open leads, the right person's own stays.
_DROP_SECOND_REGISTERS = text(
    "DELETE FROM registers WHERE person_id = :wrong"
    " AND source IN (SELECT source FROM registers WHERE person_id = :right)"
)
_CLOSE_SECOND_LEADS = text(
    "UPDATE register_leads SET status = 'done', closed_on = :on WHERE person_id = :wrong AND status = 'open'"
    " AND kind IN (SELECT kind FROM register_leads WHERE person_id = :right AND status = 'open')"
)

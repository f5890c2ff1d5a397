"""What a row of a roster that is taken over becomes (存量接管): everything that is written of its recipient, made and
sealed before anybody's lock is taken. Who reads a roster and who decides on it would wait for one another otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import RowMapping

from libs.common.database import Transaction, new_id
from libs.common.events.intake import ListedApplication, ListedRecipient
from services.intake.application_records import account_token, sealed_declaration
from services.intake.handlers.takeover import prepare, stored_received
from services.intake.payee import comes_of_age_on
from services.intake.person_records import load_person, person_row, save_person
from services.intake.persons import Person
from services.intake.receipts import new_receipt_no
from services.intake.roster_files import Row
from services.intake.takeover import BadRow, Entry, Problem, read_row
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True, repr=False)
class Recipient:
    """A sound row, and what is written of it: the rows of the person and of each application, what eligibility is told,
    and the entry that awaits the judgement."""

    entry: Entry
    person: Person
    person_row: Mapping[str, Any]
    application_rows: Sequence[Mapping[str, Any]]
    listed: ListedRecipient
    received: str
    prepared: str

    @property
    def person_id(self) -> str:
        return self.person.person_id


@dataclass(frozen=True, slots=True, repr=False)
class ReadRow:
    """A row that was read: its recipient, or what is wrong with it."""

    number: int
    recipient: Recipient | None = None
    problems: tuple[Problem, ...] = ()


def recipients_in(vault: Vault, rows: Sequence[Row], found: RowMapping, due_on: date) -> list[ReadRow]:
    """The rows of a file that is imported as `found` says; applications wait for their judgement until `due_on`."""
    read = []
    for row in rows:
        if row.is_blank:
            continue
        if row.cells is None:
            problem = Problem("", "与表头的列不对应 (is no row of this file: its cells are not those of the heading)")
            read.append(ReadRow(row.number, problems=(problem,)))
            continue
        try:
            entry = read_row(row.cells, area=found["area"], on=found["imported_on"])
        except BadRow as error:
            read.append(ReadRow(row.number, problems=error.problems))
        else:
            read.append(ReadRow(row.number, _recipient(vault, entry, found, due_on)))
    return read


async def with_what_is_known(tx: Transaction, vault: Vault, recipient: Recipient, *, on: date) -> Recipient:
    """The recipient as the roster has them, with what is stored of the person; saved. The caller holds their lock."""
    known = await load_person(tx, vault, recipient.person_id)
    person = replace(
        recipient.person,
        phone=recipient.person.phone or known.phone,
        phone_given_at=known.phone_given_at,
        incapacity=known.incapacity,
        payee_version=known.payee_version,
        contact_version=known.contact_version,
    )
    await save_person(tx, vault, _as_told(person))
    return replace(recipient, person=person, prepared=prepare(vault, recipient.entry, person, on))


def _recipient(vault: Vault, entry: Entry, found: RowMapping, due_on: date) -> Recipient:
    on: date = found["imported_on"]
    applicant, adult_on = entry.declarations[0].applicant, comes_of_age_on(entry.birth_date)
    person = Person(
        person_id=vault.persons.person_id(entry.id_number),
        area=applicant.hukou_area,
        name=applicant.name,
        id_number=applicant.id_number,
        phone=applicant.phone,
        adult_on=adult_on if adult_on > on else None,
        certificate=entry.certificate,
    )
    application_rows, listed = _applications(vault, entry, person, found, due_on)
    return Recipient(
        entry=entry,
        person=person,
        person_row={
            **person_row(vault, _as_told(person)),
            "certificate": entry.certificate.model_dump_json(by_alias=True),
        },
        application_rows=application_rows,
        listed=listed,
        received=stored_received(entry.received),
        prepared=prepare(vault, entry, person, on),
    )


def _as_told(person: Person) -> Person:
    """With the versions that their payee and contact are told under once they are granted."""
    return replace(person, payee_version=person.payee_version + 1, contact_version=person.contact_version + 1)


def _applications(
    vault: Vault, entry: Entry, person: Person, found: RowMapping, due_on: date
) -> tuple[Sequence[Mapping[str, Any]], ListedRecipient]:
    """An application for each month that a subsidy of the recipient began in; the recipient as eligibility is told."""
    on: date = found["imported_on"]
    token = account_token(vault, entry.declarations[0])
    facts = [entry.facts(declaration) for declaration in entry.declarations]
    rows = []
    for declaration, known in zip(entry.declarations, facts, strict=True):
        application_id = new_id()
        rows.append(
            {
                "application_id": application_id,
                "receipt_no": new_receipt_no(person.area, on),
                "person_id": person.person_id,
                "area": person.area,
                "channel": "roster",
                "import_id": found["import_id"],
                "subsidies": list(declaration.subsidies),
                "applied_on": declaration.applied_on,
                "accrues_from": declaration.applied_on,
                "received_on": on,
                "status": "in_review",
                "due_on": due_on,
                "version": 1,
                "facts": known.model_dump_json(by_alias=True),
                "sealed_declaration": sealed_declaration(vault, application_id, declaration),
                "reviewed_on": on,
                "account_token": token,
                "submitted_by": found["imported_by"],
            }
        )
    told = tuple(
        ListedApplication(
            application_id=row["application_id"], subsidies=declaration.subsidies, applied_on=declaration.applied_on
        )
        for row, declaration in zip(rows, entry.declarations, strict=True)
    )
    listed = ListedRecipient(person_id=person.person_id, area=person.area, facts=facts[0], applications=told)
    return rows, listed

"""Deciding what stands on a roster that is taken over: granted as assessed, with its payee and with what was paid
elsewhere; or refused, and reported with the reasons. Set by set, on the bulk lane."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Transaction
from libs.common.events.eligibility import ApplicationAssessed
from libs.common.events.intake import OpeningEntered, PaidMonths
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy
from services.intake.application_records import Filed, copy_rows, tell_approved, tell_refused
from services.intake.applications import Application, taken_over
from services.intake.handlers.roster_imports import received_in
from services.intake.person_records import account_row, guardian_row, tell_contact, tell_payee
from services.intake.persons import Person, RecordedAccount, RecordedGuardian
from services.intake.takeover import months_paid
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True)
class _Decided:
    filed: Filed
    application: Application
    import_id: UUID
    row: int
    paid: Mapping[Subsidy, tuple[PaidMonths, ...]]
    """Of what is granted."""


async def decide_taken_over(
    tx: Transaction, vault: Vault, assessed: Sequence[tuple[Filed, ApplicationAssessed]], *, on: date
) -> None:
    """Decides these entries of rosters, which await just this. Their persons are locked."""
    if not assessed:
        return
    decided = await _decide(tx, assessed, on=on)
    granted = [item for item in decided if item.application.status == "approved"]
    await _save(tx, decided)
    await _put_in_force(tx, vault, granted, on=on)
    for item in decided:
        if item.application.status == "approved":
            tell_approved(tx, item.application, bulk=True)
        else:
            tell_refused(tx, item.application)


async def _decide(
    tx: Transaction, assessed: Sequence[tuple[Filed, ApplicationAssessed]], *, on: date
) -> list[_Decided]:
    found = await tx.connection.execute(
        _ENTRIES,
        {"ids": [filed.application.application_id for filed, _ in assessed]},
    )
    entries = {row["application_id"]: row for row in found.mappings()}
    decided = []
    for filed, answer in assessed:
        application = taken_over(filed.application, answer.decisions, on=on)
        entry = entries[application.application_id]
        received = received_in(entry["received"])
        months = {decision.subsidy: decision.months for decision in answer.decisions}
        paid = {s: months_paid(received[s], months[s]) for s in application.granted}
        decided.append(_Decided(filed, application, entry["import_id"], entry["row"], paid))
    return decided


async def _save(tx: Transaction, decided: Sequence[_Decided]) -> None:
    """What became of each application, of its subsidies and of its row; what was refused goes into the report."""
    applications = [item.application for item in decided]
    columns = {
        "ids": [application.application_id for application in applications],
        "statuses": [application.status for application in applications],
        "versions": [application.version for application in applications],
        "decided_on": [application.decided_on for application in applications],
        "granted": [" ".join(application.granted) for application in applications],
        "refused": [
            json.dumps(
                [
                    {"subsidy": refusal.subsidy, "reasons": [reason.model_dump() for reason in refusal.reasons]}
                    for refusal in application.refused
                ],
                ensure_ascii=False,
            )
            for application in applications
        ],
        "reasons": [application.reason for application in applications],
    }
    await tx.connection.execute(_SAVE_APPLICATIONS, columns)
    await tx.connection.execute(_SAVE_SUBSIDIES, {"ids": columns["ids"]})
    await tx.connection.execute(_SAVE_ENTRIES, {"ids": columns["ids"]})
    refusals = [
        (
            item.import_id,
            item.row,
            refusal.subsidy,
            "refused",
            f"{SUBSIDY_NAMES[refusal.subsidy]}: "
            + ("; ".join(f"{reason.detail} [{reason.citation}]" for reason in refusal.reasons) or "没有可发放的月份"),
        )
        for item in decided
        for refusal in item.application.refused
    ]
    await copy_rows(tx, "roster_rejects", ("import_id", "row", "field", "kind", "reason"), refusals)


async def _put_in_force(tx: Transaction, vault: Vault, granted: Sequence[_Decided], *, on: date) -> None:
    """The payee of each person, told once; and before it, of each application, what was paid elsewhere."""
    found = await tx.connection.execute(
        text("SELECT * FROM persons WHERE person_id = ANY(CAST(:ids AS text[]))"),
        {"ids": [item.application.person_id for item in granted]},
    )
    rows = {row["person_id"]: row for row in found.mappings()}
    told: dict[str, Person] = {}
    accounts: list[dict[str, Any]] = []
    guardians: list[dict[str, Any]] = []
    for item in granted:
        application = item.application
        if paid := {subsidy: months for subsidy, months in item.paid.items() if months}:
            tx.publish(
                OpeningEntered(
                    person_id=application.person_id,
                    version=application.version,
                    application_id=application.application_id,
                    import_id=item.import_id,
                    area=application.area,
                    paid=paid,
                ),
                bulk=True,
            )
        row = rows[application.person_id]
        if row["payee_version"] > 0 or application.person_id in told:
            continue
        declaration = item.filed.declaration(vault)
        person = Person(
            person_id=application.person_id,
            area=application.area,
            name=declaration.applicant.name,
            id_number=declaration.applicant.id_number,
            phone=declaration.applicant.phone,
            adult_on=row["adult_on"],
            certificate=application.facts.certificate,
            payee_version=row["payee_version"],
            contact_version=row["contact_version"],
        )
        guardian, account = declaration.guardian, declaration.account
        recorded: RecordedGuardian | None = None
        if guardian is not None:
            recorded = RecordedGuardian(guardian, effective_on=application.accrues_from)
            guardians.append(guardian_row(vault, person.person_id, recorded, at=tx.now))
        assert account is not None
        institution = account.holder == "guardian" and guardian is not None and guardian.kind == "institution"
        payee = RecordedAccount(account, institution, effective_on=on)
        accounts.append(account_row(vault, person.person_id, payee, at=tx.now))
        person = tell_payee(tx, vault, person, payee, on=on, bulk=True)
        told[person.person_id] = tell_contact(tx, vault, person, recorded, bulk=True)
    for table, written in (("accounts", accounts), ("guardians", guardians)):
        if written:
            await copy_rows(tx, table, tuple(written[0]), [tuple(values.values()) for values in written])
    await _save_persons(tx, list(told.values()))


async def _save_persons(tx: Transaction, persons: Sequence[Person]) -> None:
    await tx.connection.execute(
        _SAVE_PERSONS,
        {
            "ids": [person.person_id for person in persons],
            "certificates": [
                person.certificate.model_dump_json(by_alias=True) if person.certificate else None for person in persons
            ],
            "payees": [person.payee_version for person in persons],
            "contacts": [person.contact_version for person in persons],
            "cannot_act": [person.cannot_act_told for person in persons],
        },
    )


_ENTRIES = text(
    "SELECT application_id, import_id, row, received FROM roster_entries"
    " WHERE application_id = ANY(CAST(:ids AS uuid[]))"
).columns(received=JSONB)
_SAVE_APPLICATIONS = text(
    """
    UPDATE applications SET status = given.status, stage = NULL, due_on = NULL, version = given.version,
        decided_on = given.decided_on, granted = string_to_array(given.granted, ' '),
        refused = CAST(given.refused AS jsonb), reason = given.reason
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:versions AS bigint[]),
        CAST(:decided_on AS date[]), CAST(:granted AS text[]), CAST(:refused AS text[]), CAST(:reasons AS text[]))
        AS given (id, status, version, decided_on, granted, refused, reason)
    WHERE application_id = given.id
    """
)
_SAVE_SUBSIDIES = text(
    """
    UPDATE applied_subsidies s SET state = CASE WHEN a.status = 'rejected' THEN 'closed'
            WHEN s.subsidy = ANY(a.granted) THEN 'granted' ELSE 'refused' END,
        granted_after_version = CASE WHEN a.status = 'approved' THEN coalesce((SELECT e.version FROM entitlements e
            WHERE e.person_id = s.person_id AND e.subsidy = s.subsidy), 0) END
    FROM applications a WHERE a.application_id = s.application_id AND s.application_id = ANY(CAST(:ids AS uuid[]))
    """
)
_SAVE_ENTRIES = text(
    """
    UPDATE roster_entries e SET state = CASE a.status WHEN 'approved' THEN 'granted' ELSE 'refused' END
    FROM applications a WHERE a.application_id = e.application_id AND e.application_id = ANY(CAST(:ids AS uuid[]))
    """
)
_SAVE_PERSONS = text(
    """
    UPDATE persons SET certificate = CAST(given.certificate AS jsonb), payee_version = given.payee_version,
        contact_version = given.contact_version, cannot_act_told = given.cannot_act
    FROM unnest(CAST(:ids AS text[]), CAST(:certificates AS text[]), CAST(:payees AS bigint[]),
        CAST(:contacts AS bigint[]), CAST(:cannot_act AS boolean[]))
        AS given (person_id, certificate, payee_version, contact_version, cannot_act)
    WHERE persons.person_id = given.person_id
    """
)

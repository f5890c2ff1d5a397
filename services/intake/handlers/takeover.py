"""Deciding on the recipients of a roster that is taken over: granted as judged, with the payee and with what was paid
elsewhere; or refused, and reported with the reasons. Set by set, on the bulk lane.

What is put in force is prepared, and sealed, as the roster is read: deciding neither opens nor seals anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Transaction, copy_rows
from libs.common.events.eligibility import JudgedRecipient
from libs.common.events.intake import (
    ContactChanged,
    GrantedApplication,
    PaidMonths,
    PayeeChanged,
    RecipientsTakenOver,
    TakenOver,
    contact_place,
    payee_place,
)
from libs.common.period import Period
from libs.common.projection import Received as ReceivedEvent
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy, in_chinese
from services.intake.application_records import filed_in
from services.intake.applications import Application, taken_over
from services.intake.handlers.certificates import follow_certificates
from services.intake.payee import institution_of
from services.intake.person_records import (
    account_row,
    contact_of,
    current_account,
    current_guardian,
    guardian_row,
    load_person,
    payee_of,
    save_person,
    tell_contact,
    tell_payee,
)
from services.intake.persons import Person, RecordedAccount, RecordedGuardian
from services.intake.takeover import Entry, Received, months_paid
from services.intake.vault import Vault


def prepare(vault: Vault, entry: Entry, person: Person, on: date) -> str:
    """What is put in force once the recipient is granted anything, as `roster_entries.prepared` keeps it."""
    guardian, account = entry.declarations[0].guardian, entry.declarations[0].account
    assert account is not None
    recorded: RecordedGuardian | None = None
    if guardian is not None:
        recorded = RecordedGuardian(guardian, effective_on=entry.declarations[0].applied_on)
    payee = RecordedAccount(account, institution_of(account, guardian), effective_on=on)
    prepared = {
        "account": account_row(vault, person.person_id, payee),
        "guardian": recorded and guardian_row(vault, person.person_id, recorded),
        "payee": payee_of(vault, person, payee, on=on, place=partial(payee_place, person.person_id)),
        "contact": contact_of(vault, person, recorded, place=partial(contact_place, person.person_id)),
    }
    return to_json(prepared, by_alias=True).decode()


def stored_received(received: Mapping[Subsidy, Received]) -> str:
    """What was had of each subsidy before, as `roster_entries.received` keeps it."""
    return json.dumps(
        {
            subsidy: {
                "first": str(had.first),
                "paid_until": had.paid_until and str(had.paid_until),
                "paid": [months.model_dump(mode="json", by_alias=True) for months in had.paid],
            }
            for subsidy, had in received.items()
        }
    )


def _received_in(stored: Mapping[str, Any]) -> Received:
    return Received(
        first=Period.parse(stored["first"]),
        paid_until=Period.parse(stored["paid_until"]) if stored["paid_until"] else None,
        paid=tuple(PaidMonths.model_validate(months) for months in stored["paid"]),
    )


@dataclass(frozen=True, slots=True)
class _Decided:
    """A recipient's entry, and what became of the applications."""

    entry: RowMapping
    applications: Sequence[Application]
    judged: JudgedRecipient
    portion: str
    judged_at: datetime

    @property
    def granted(self) -> list[Application]:
        return [application for application in self.applications if application.status == "approved"]

    def paid(self) -> dict[Subsidy, tuple[PaidMonths, ...]]:
        """What was paid elsewhere of what is granted."""
        months = {schedule.subsidy: schedule.schedule for schedule in self.judged.schedules}
        paid = {
            subsidy: months_paid(_received_in(self.entry["received"][subsidy]), months[subsidy])
            for application in self.granted
            for subsidy in application.granted
        }
        return {subsidy: spans for subsidy, spans in paid.items() if spans}


async def decide_recipients(tx: Transaction, vault: Vault, received: Sequence[ReceivedEvent], *, on: date) -> None:
    """Decides on those who await just this: their applications, what is put in force, and what the report says."""
    judged = {
        (item.data.import_id, recipient.person_id): (recipient, item.data.portion, item.envelope.time)
        for item in received
        for recipient in item.data.recipients
    }
    found = await tx.connection.execute(
        _WAITING,
        {"import_ids": [import_id for import_id, _ in judged], "person_ids": [person_id for _, person_id in judged]},
    )
    waiting: dict[tuple[UUID, str], list[RowMapping]] = {}
    for row in found.mappings():
        waiting.setdefault((row["import_id"], row["person_id"]), []).append(row)
    decided = [
        _Decided(
            filed[0],
            [taken_over(filed_in(row).application, judged[key][0].decisions, on=on) for row in filed],
            *judged[key],
        )
        for key, filed in waiting.items()
    ]
    if not decided:
        return
    # The applications are locked already. The persons only now: whoever reads a roster is kept waiting by them.
    await _save_applications(tx, decided)
    await tx.lock(*{item.judged.person_id for item in decided})
    await _put_in_force(tx, decided)
    granted = [item for item in decided if item.granted]
    _tell_taken_over(tx, granted)
    await _tell_what_changed_meanwhile(tx, vault, granted, on=on)
    told = await tx.connection.execute(_TOLD_OTHERWISE, {"person_ids": [item.judged.person_id for item in granted]})
    await follow_certificates(tx, vault, list(told.scalars()), on=on)


def _tell_taken_over(tx: Transaction, granted: Sequence[_Decided]) -> None:
    """Portion by portion, as they were judged."""
    portions: dict[tuple[UUID, str], list[TakenOver]] = {}
    for item in granted:
        prepared = item.entry["prepared"]
        recipient = TakenOver(
            person_id=item.judged.person_id,
            area=item.granted[0].area,
            birth_year=item.granted[0].facts.birth_year,
            applications=tuple(_granted(application) for application in item.granted),
            payee=PayeeChanged.model_validate(prepared["payee"]),
            contact=ContactChanged.model_validate(prepared["contact"]),
            paid=item.paid(),
        )
        portions.setdefault((item.entry["import_id"], item.portion), []).append(recipient)
    for (import_id, portion), recipients in portions.items():
        told = RecipientsTakenOver(version=1, import_id=import_id, portion=portion, recipients=tuple(recipients))
        tx.publish(told, bulk=True)


def _granted(application: Application) -> GrantedApplication:
    assert application.facts.certificate is not None
    return GrantedApplication(
        application_id=application.application_id,
        version=application.version,
        applied_on=application.accrues_from,
        granted=application.granted,
        certificate=application.facts.certificate,
    )


async def _save_applications(tx: Transaction, decided: Sequence[_Decided]) -> None:
    """What became of each application and of its subsidies, and the judgement that it rests on; what was refused goes
    into the report."""
    applications = [application for item in decided for application in item.applications]
    told = [
        {
            "application_id": application.application_id,
            "status": application.status,
            "version": application.version,
            "decided_on": application.decided_on,
            "granted": application.granted,
            "refused": [
                {"subsidy": refusal.subsidy, "reasons": [reason.model_dump() for reason in refusal.reasons]}
                for refusal in application.refused
            ],
            "reason": application.reason,
        }
        for application in applications
    ]
    await tx.connection.execute(_SAVE_APPLICATIONS, {"told": to_json(told).decode()})
    await tx.connection.execute(_SAVE_SUBSIDIES, {"ids": [application.application_id for application in applications]})
    assessments = []
    for item in decided:
        for application in item.applications:
            decisions = [decision for decision in item.judged.decisions if decision.subsidy in application.subsidies]
            stored = to_json(decisions, by_alias=False).decode()
            assessments.append(
                (
                    application.application_id,
                    1,
                    application.version - 1,
                    item.judged.policy_version,
                    stored,
                    item.judged_at,
                )
            )
    await copy_rows(tx, "assessments", _ASSESSMENTS, assessments)
    refusals = [
        (
            item.entry["import_id"],
            item.entry["row"],
            refusal.subsidy,
            "refused",
            f"{SUBSIDY_NAMES[refusal.subsidy]}: "
            + (
                "；".join(f"{in_chinese(reason.detail)}（{in_chinese(reason.citation)}）" for reason in refusal.reasons)
                or "没有可发放的月份"
            ),
        )
        for item in decided
        for application in item.applications
        for refusal in application.refused
    ]
    await copy_rows(tx, "roster_rejects", ("import_id", "row", "field", "kind", "reason"), refusals)


async def _put_in_force(tx: Transaction, decided: Sequence[_Decided]) -> None:
    """Account, guardian and person of who is granted anything, as they were prepared; what became of each row."""
    entries = [
        {
            "import_id": item.entry["import_id"],
            "person_id": item.judged.person_id,
            "state": "granted" if item.granted else "refused",
            "cannot_act": item.entry["prepared"]["payee"]["cannot_act"],
        }
        for item in decided
    ]
    entered = {"entries": to_json(entries).decode(), "now": tx.now}
    for statement in (_SAVE_ACCOUNTS, _SAVE_GUARDIANS, _SAVE_PERSONS, _SAVE_ENTRIES):
        await tx.connection.execute(statement, entered)
    await tx.connection.execute(_ANSWERED, {"ids": [item.entry["import_id"] for item in decided], "now": tx.now})


async def _tell_what_changed_meanwhile(tx: Transaction, vault: Vault, granted: Sequence[_Decided], *, on: date) -> None:
    """Whose payee or contact was told anew while they waited: once more, behind what was prepared."""
    versions = {item.judged.person_id: item.entry["prepared"]["payee"]["version"] for item in granted}
    changed = await tx.connection.execute(_CHANGED, {"person_ids": list(versions), "versions": list(versions.values())})
    for person_id in changed.scalars().all():
        person = await load_person(tx, vault, person_id)
        person = tell_contact(tx, vault, person, await current_guardian(tx, vault, person_id))
        account = await current_account(tx, vault, person_id)
        await save_person(tx, vault, tell_payee(tx, vault, person, account, on=on))


_ASSESSMENTS = (
    "application_id", "version", "application_version", "policy_version", "decisions", "assessed_at",
)  # fmt: skip

_WAITING = text(
    """
    SELECT a.*, e.row, e.received, e.prepared
    FROM unnest(CAST(:import_ids AS uuid[]), CAST(:person_ids AS text[])) AS judged (import_id, person_id)
    JOIN roster_entries e USING (import_id, person_id)
    JOIN applications a USING (import_id, person_id)
    WHERE e.state = 'waiting'
    ORDER BY a.application_id FOR UPDATE OF a
    """
).columns(facts=JSONB, refused=JSONB, received=JSONB, prepared=JSONB)

_SAVE_APPLICATIONS = text(
    """
    UPDATE applications a SET status = told.status, stage = NULL, due_on = NULL, version = told.version,
        decided_on = told.decided_on, granted = told.granted, refused = told.refused, reason = told.reason
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (application_id uuid, status text, version bigint,
        decided_on date, granted text[], refused jsonb, reason text)
    WHERE a.application_id = told.application_id
    """
)
# No schedule of theirs is older than the grant: who had one before is known, and not taken over.
_SAVE_SUBSIDIES = text(
    """
    UPDATE applied_subsidies s SET state = CASE WHEN a.status = 'rejected' THEN 'closed'
            WHEN s.subsidy = ANY(a.granted) THEN 'granted' ELSE 'refused' END,
        granted_after_version = CASE WHEN a.status = 'approved' THEN 0 END
    FROM applications a WHERE a.application_id = s.application_id AND s.application_id = ANY(CAST(:ids AS uuid[]))
    """
)
_DECIDED = """
    FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS decided (import_id uuid, person_id text, state text,
        cannot_act boolean)
"""
_SAVE_ACCOUNTS = text(
    f"""
    INSERT INTO accounts SELECT row.*
    {_DECIDED} JOIN roster_entries e USING (import_id, person_id)
    CROSS JOIN LATERAL jsonb_populate_record(NULL::accounts,
        e.prepared -> 'account' || jsonb_build_object('recorded_at', CAST(:now AS timestamptz))) AS row
    WHERE decided.state = 'granted'
      AND NOT EXISTS (SELECT FROM accounts a WHERE a.person_id = row.person_id AND a.replaced_at IS NULL)
    """  # noqa: S608 (joins constants of this module)
)
_SAVE_GUARDIANS = text(
    f"""
    INSERT INTO guardians SELECT row.*
    {_DECIDED} JOIN roster_entries e USING (import_id, person_id)
    CROSS JOIN LATERAL jsonb_populate_record(NULL::guardians,
        e.prepared -> 'guardian' || jsonb_build_object('recorded_at', CAST(:now AS timestamptz))) AS row
    WHERE decided.state = 'granted' AND jsonb_typeof(e.prepared -> 'guardian') = 'object'
      AND NOT EXISTS (SELECT FROM guardians g WHERE g.person_id = row.person_id AND g.replaced_at IS NULL)
    """  # noqa: S608 (joins constants of this module)
)
# Of who is granted, what was told is noted; of who is not, that nothing was told after all.
_SAVE_PERSONS = text(
    f"""
    UPDATE persons p SET cannot_act_told = decided.state = 'granted',
        payee_version = payee_version - CAST(decided.state = 'refused' AS integer),
        contact_version = contact_version - CAST(decided.state = 'refused' AS integer),
        certificate = CASE decided.state WHEN 'granted' THEN certificate END
    {_DECIDED} WHERE p.person_id = decided.person_id AND (decided.state = 'refused' OR decided.cannot_act)
    """  # noqa: S608 (joins constants of this module)
)
_SAVE_ENTRIES = text(
    f"""
    UPDATE roster_entries e SET state = decided.state, prepared = NULL
    {_DECIDED} WHERE e.import_id = decided.import_id AND e.person_id = decided.person_id
    """  # noqa: S608 (joins constants of this module)
)
# Whoever reads the file, or decides beside this transaction, is not waited for: a later decision notes it.
_ANSWERED = text(
    """
    UPDATE roster_imports SET answered_at = :now WHERE import_id IN (
        SELECT import_id FROM roster_imports WHERE import_id = ANY(CAST(:ids AS uuid[])) AND read_at <= :now
        FOR NO KEY UPDATE SKIP LOCKED)
    """
)
# Departments told of another certificate than the roster has, before or while they waited.
_TOLD_OTHERWISE = text(
    """
    SELECT DISTINCT person_id FROM certificate_issues c JOIN persons p USING (person_id)
    WHERE person_id = ANY(:person_ids) AND NOT (p.certificate @> c.certificate - ARRAY['issued_on', 'expires_on'])
    """
)
_CHANGED = text(
    """
    SELECT person_id FROM persons
    JOIN unnest(CAST(:person_ids AS text[]), CAST(:versions AS bigint[])) AS told (person_id, version) USING (person_id)
    WHERE payee_version > told.version ORDER BY person_id
    """
)

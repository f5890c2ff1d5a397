"""What happens to an application at the hands of people: submitted, reviewed, completed, withdrawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import DomainError
from libs.common.identity import AccountWarning, ResidentId, account_warnings
from services.intake.application_records import (
    Filed,
    load_application,
    record_opinion,
    save_application,
    save_declaration,
    settle_subsidies,
    tell_reviewed,
    tell_submitted,
    tell_withdrawn,
)
from services.intake.applications import Application, Opinion, complete, review, submitted, withdraw
from services.intake.declarations import (
    Choice,
    Declaration,
    benefit_choices,
    cannot_act,
    facts_of,
    repaired,
    repaired_account,
)
from services.intake.filings import Filing, Standing, file, note_ended, standings
from services.intake.handlers.forwardings import accept_for_elsewhere, follow_decision, require_forwarded
from services.intake.payee import Account, comes_of_age_on, require_rightful
from services.intake.person_records import tell_contact
from services.intake.persons import Person
from services.intake.policy_records import parameters_of
from services.intake.receipts import new_receipt_no
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submission led to; `warnings` are oddities of the account number that stop nothing."""

    filed: Filed
    warnings: Sequence[AccountWarning]


async def submit_application(
    tx: Transaction, vault: Vault, caller: Principal, declaration: Declaration, *, on: date
) -> Submission:
    """Files an application received `on` that day. Refused by Forbidden (area), InvalidInput, AlreadyApplied."""
    [outcome] = await submit_applications(tx, vault, caller, [declaration], on=on)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


async def submit_applications(
    tx: Transaction, vault: Vault, caller: Principal, declarations: Sequence[Declaration], *, on: date
) -> list[Submission | DomainError]:
    """Files those that nothing refuses, all in a few round trips; what became of each, in their order."""
    outcomes: dict[int, Submission | DomainError] = {}
    sound: dict[int, tuple[str, Declaration]] = {}
    for place, declaration in enumerate(declarations):
        try:
            sound[place] = _judged(vault, caller, declaration, on=on)
        except DomainError as refusal:
            outcomes[place] = refusal
    while sound:
        # One of each person at a time: a second one of the same person sees what became of the first.
        first_places: dict[str, int] = {}
        for place, (person_id, _) in sound.items():
            first_places.setdefault(person_id, place)
        some = {place: sound.pop(place)[1] for place in first_places.values()}
        outcomes |= await _file_some(tx, vault, caller, dict(zip(first_places, some.items(), strict=True)), on=on)
        if sound:
            await tx.flush()
    return [outcomes[place] for place in range(len(declarations))]


def _judged(vault: Vault, caller: Principal, declaration: Declaration, *, on: date) -> tuple[str, Declaration]:
    """The person and the declaration, repaired, if the caller may file it and it can stand."""
    if not _accepts_for_elsewhere(caller, declaration):
        caller.require_area(declaration.applicant.hukou_area)
    declaration = repaired(declaration, on=on)
    return vault.persons.person_id(declaration.applicant.id_number), declaration


async def _file_some(
    tx: Transaction, vault: Vault, caller: Principal, declared: Mapping[str, tuple[int, Declaration]], *, on: date
) -> dict[int, Submission | DomainError]:
    """Files the declarations of different persons, given with their places."""
    areas = {person_id: declaration.applicant.hukou_area for person_id, (_, declaration) in declared.items()}
    standing = await standings(tx, areas, on=on)
    outcomes: dict[int, Submission | DomainError] = {}
    for person_id, (place, declaration) in declared.items():
        try:
            filing = _filing(tx, vault, caller, person_id, declaration, standing[person_id], on=on)
        except DomainError as refusal:
            outcomes[place] = refusal
            continue
        number = declaration.account and declaration.account.number
        outcomes[place] = Submission(filing.filed, account_warnings(number) if number else [])
        await note_ended(tx, standing[person_id].ended, declaration.subsidies)
        file(tx, vault, filing)
        await accept_for_elsewhere(tx, caller, filing.filed, on=on)
        tell_submitted(tx, filing.filed.application)
        await _record(tx, caller, "submit application", filing.filed.application)
    return outcomes


def _filing(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    person_id: str,
    declaration: Declaration,
    standing: Standing,
    *,
    on: date,
) -> Filing:
    """The application as it is filed. AlreadyApplied, OwnCardFirst, PersonMerged."""
    known = standing.person(vault)
    standing.require_free(declaration.subsidies)
    if declaration.account is not None and declaration.account.holder == "guardian" and standing.has_own_card:
        require_rightful(
            declaration.account,
            person_name=declaration.applicant.name,
            guardian=declaration.guardian,
            cannot_act=True,
            own_card_active=True,
            path="account.",
        )
    area = declaration.applicant.hukou_area
    application = submitted(
        new_id(),
        person_id,
        area=area,
        channel=declaration.channel,
        subsidies=declaration.subsidies,
        applied_on=declaration.applied_on,
        facts=facts_of(declaration, on=on),
        on=on,
        deadlines=standing.parameters.deadlines(on),
    )
    filed = Filed(
        application=application,
        receipt_no=new_receipt_no(area, on),
        received_on=on,
        accepted_area=declaration.accepted_area,
        submitted_by=caller.sub,
        submitted_at=tx.now,
        sealed_declaration="",
    )
    return Filing(filed, declaration, _person_to_note(tx, vault, person_id, declaration, known, on=on))


async def review_application(
    tx: Transaction, caller: Principal, application_id: UUID, opinion: Opinion, *, on: date
) -> Filed:
    """Takes one office's opinion; what refuses it is listed at `applications.review`."""
    filed = await load_application(tx, caller, application_id, lock=True, to_decide=True)
    await require_forwarded(tx, filed.application)
    application = review(
        filed.application,
        opinion,
        sub=caller.sub,
        role=caller.role,
        on=on,
        deadlines=(await parameters_of(tx, filed.application.area)).deadlines(on),
    )
    await save_application(tx, application)
    await record_opinion(tx, application, opinion, caller.sub)
    if application.status == "rejected":
        await settle_subsidies(tx, application)
        await follow_decision(tx, application, on=on)
    tell_reviewed(tx, application, opinion.outcome, on=on)
    await _record(tx, caller, f"{opinion.outcome} application", application, stage=opinion.stage)
    return replace(filed, application=application)


async def complete_application(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    application_id: UUID,
    *,
    choices: tuple[Choice, ...],
    account: Account | None,
    on: date,
) -> Filed:
    """Puts a returned application back to review, with the signed choices or the account that were missing."""
    filed = await load_application(tx, caller, application_id, lock=True)
    application = complete(
        filed.application,
        choices=benefit_choices(choices),
        on=on,
        deadlines=(await parameters_of(tx, filed.application.area)).deadlines(on),
    )
    if account is not None:
        declaration = filed.declaration(vault)
        rightful = require_rightful(
            repaired_account(account, path="account."),
            person_name=declaration.applicant.name,
            guardian=declaration.guardian,
            cannot_act=cannot_act(declaration, on=declaration.applied_on),
            path="account.",
        )
        await save_declaration(tx, vault, application_id, declaration.model_copy(update={"account": rightful}))
    await save_application(tx, application)
    tell_reviewed(tx, application, "complete", on=on)
    await _record(tx, caller, "complete application", application)
    return replace(filed, application=application)


async def withdraw_application(
    tx: Transaction, caller: Principal, application_id: UUID, *, reason: str | None, on: date
) -> Filed:
    """Takes an application back; AlreadyClosed when it is rejected or withdrawn."""
    filed = await load_application(tx, caller, application_id, lock=True)
    application = withdraw(filed.application, reason=reason, on=on)
    await tx.lock(application.person_id)
    await save_application(tx, application)
    await settle_subsidies(tx, application)
    await follow_decision(tx, application, on=on)
    tell_withdrawn(tx, application)
    await _record(tx, caller, "withdraw application", application, reason=reason)
    return replace(filed, application=application)


def _accepts_for_elsewhere(caller: Principal, declaration: Declaration) -> bool:
    """Cross-province: whoever covers the accepting place may take an application for any other."""
    accepted_area = declaration.accepted_area
    return declaration.channel == "cross_province" and accepted_area is not None and caller.covers(accepted_area)


def _person_to_note(
    tx: Transaction, vault: Vault, person_id: str, declaration: Declaration, known: Person | None, *, on: date
) -> Person | None:
    """Who applied, to be saved, where something is new. A person who is paid already is reached as before until this
    application is approved: whoever submits it could else turn the notices about their money away from them."""
    applicant = declaration.applicant
    if known is not None and known.payee_version > 0:
        return None
    adult_on = comes_of_age_on(ResidentId(applicant.id_number).birth_date)
    person = replace(
        known or Person(person_id, applicant.hukou_area, applicant.name, applicant.id_number),
        area=applicant.hukou_area,
        name=applicant.name,
        phone=applicant.phone or (known.phone if known else None),
        adult_on=adult_on if adult_on > on else None,
    )
    return None if person == known else tell_contact(tx, vault, person)


async def _record(
    tx: Transaction, caller: Principal, deed: str, application: Application, reason: str | None = None, **detail: object
) -> None:
    await record(
        tx, caller, deed, str(application.application_id), person_id=application.person_id, reason=reason, **detail
    )

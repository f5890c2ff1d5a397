"""What eligibility tells: assessments, which decide applications, and schedules, which tell when a spell has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from pydantic_core import to_json
from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.eligibility import ApplicationAssessed, EntitlementChanged
from libs.common.identity import ResidentId
from libs.common.projection import Received
from services.intake.application_records import (
    Filed,
    lock_applications,
    save_application,
    settle_subsidies,
    tell_approved,
)
from services.intake.applications import Application, decide
from services.intake.handlers.certificates import certificate_held
from services.intake.handlers.forwardings import follow_decision
from services.intake.handlers.registers import settle_leads
from services.intake.payee import comes_of_age_on, institution_of
from services.intake.person_records import (
    current_account,
    current_guardian,
    load_person,
    record_account,
    record_guardian,
    save_person,
    tell_contact,
    tell_payee,
)
from services.intake.persons import RecordedAccount, RecordedGuardian
from services.intake.policy_records import parameters_of
from services.intake.vault import Vault


async def note_assessments(tx: Transaction, vault: Vault, received: Sequence[Received], *, on: date) -> None:
    """Keeps every assessment; one of an application's present version decides it, if it was awaited."""
    newest: dict[object, ApplicationAssessed] = {}
    for item in received:
        data: ApplicationAssessed = item.data
        known = newest.get(data.application_id)
        if known is None or (data.application_version, data.version) > (known.application_version, known.version):
            newest[data.application_id] = data
    await _keep(tx, received)
    found = await lock_applications(tx, [assessed.application_id for assessed in newest.values()])
    await tx.lock(*{filed.application.person_id for filed in found.values()})
    awaited = [
        (filed, newest[application_id])
        for application_id, filed in found.items()
        if filed.application.awaits_assessment
        and newest[application_id].application_version >= filed.application.version
    ]
    for filed, assessed in awaited:
        await _decide_application(tx, vault, filed, assessed, on=on)


async def note_entitlements(tx: Transaction, received: Sequence[Received]) -> None:
    """Keeps how far each person's newest schedule reaches."""
    newest: dict[tuple[str, str], EntitlementChanged] = {}
    for item in received:
        data: EntitlementChanged = item.data
        key = (data.person_id, data.subsidy)
        if key not in newest or data.version > newest[key].version:
            newest[key] = data
    told = [
        {
            "person_id": data.person_id,
            "subsidy": data.subsidy,
            "version": data.version,
            "is_open": any(months.to is None for months in data.schedule),
            "last_period": _last_day_of_schedule(data),
        }
        for data in newest.values()
    ]
    await tx.connection.execute(_KEEP_ENTITLEMENTS, {"told": to_json(told).decode()})


async def _keep(tx: Transaction, received: Sequence[Received]) -> None:
    told: list[ApplicationAssessed] = [item.data for item in received]
    await tx.connection.execute(
        _KEEP_ASSESSMENTS,
        {
            "ids": [data.application_id for data in told],
            "versions": [data.version for data in told],
            "application_versions": [data.application_version for data in told],
            "policy_versions": [data.policy_version for data in told],
            "decisions": [to_json(data.decisions, by_alias=False).decode() for data in told],
            "assessed_at": [item.envelope.time for item in received],
        },
    )


async def _decide_application(
    tx: Transaction, vault: Vault, filed: Filed, assessed: ApplicationAssessed, *, on: date
) -> None:
    parameters = await parameters_of(tx, filed.application.area)
    application = decide(filed.application, assessed.decisions, on=on, deadlines=parameters.deadlines(on))
    await save_application(tx, application)
    if application.status != "approved":
        return  # back at civil affairs, which says so with its next opinion
    await settle_subsidies(tx, application)
    await follow_decision(tx, application, on=on)
    tell_approved(tx, application)
    await _put_in_force(tx, vault, replace(filed, application=application), on=on)


async def _put_in_force(tx: Transaction, vault: Vault, filed: Filed, *, on: date) -> None:
    """The person, guardian and account as three offices have just approved them; but what was changed since it was
    submitted (a phone by the township, account or guardian by two persons), or a later application brought, stands
    (notice 4.5); and who has moved on since they applied stays with the county that accepted them."""
    application, declaration = filed.application, filed.declaration(vault)
    known = await load_person(tx, vault, application.person_id)
    adult_on = comes_of_age_on(ResidentId.parse(known.id_number, on=on).birth_date)
    person = replace(
        known,
        area=await _moved_on_to(tx, application) or application.area,
        name=declaration.applicant.name,
        adult_on=adult_on if adult_on > on else None,
        certificate=await certificate_held(tx, known.person_id, on=on),
        incapacity=declaration.incapacity or known.incapacity,
    )
    declared_phone = declaration.applicant.phone
    if declared_phone and (known.phone_given_at is None or known.phone_given_at <= filed.submitted_at):
        person = replace(person, phone=declared_phone, phone_given_at=filed.submitted_at)
    account_changed, guardian_changed = False, False
    if known.payee_version > 0:
        since = await tx.connection.execute(_CHANGED_SINCE, {"application_id": application.application_id})
        account_changed, guardian_changed = since.one()
    if declaration.guardian is not None and not guardian_changed:
        guardian = RecordedGuardian(declaration.guardian, effective_on=application.accrues_from)
        await record_guardian(tx, vault, person.person_id, guardian)
    reached_otherwise = (person.name, person.phone, person.area) != (known.name, known.phone, known.area)
    if reached_otherwise or declaration.guardian is not None:
        person = tell_contact(tx, vault, person, await current_guardian(tx, vault, person.person_id))
    account = await current_account(tx, vault, person.person_id) if known.payee_version > 0 else None
    declared = declaration.account
    keeps_own_card = account is not None and account.is_active_own_card
    stands = account_changed or (
        declared is not None and declared.holder != "own" and (guardian_changed or keeps_own_card)
    )
    if declared is not None and not stands:
        account = RecordedAccount(declared, institution_of(declared, declaration.guardian), effective_on=on)
        await record_account(tx, vault, person.person_id, account)
    person = await settle_leads(tx, vault, person, on=on)
    await save_person(tx, vault, tell_payee(tx, vault, person, account, on=on))


async def _moved_on_to(tx: Transaction, application: Application) -> str | None:
    moved = {"person_id": application.person_id, "applied_on": application.applied_on}
    return (await tx.connection.execute(_MOVED_ON_TO, moved)).scalar()


def _last_day_of_schedule(data: EntitlementChanged) -> date | None:
    ends = [months.to for months in data.schedule]
    if not ends or None in ends:
        return None
    return max(end for end in ends if end is not None).first_day


_MOVED_ON_TO = text(
    "SELECT to_area FROM transfers WHERE person_id = :person_id AND status = 'accepted' AND moved_on >= :applied_on"
    " ORDER BY moved_on DESC, transfer_id DESC LIMIT 1"
)
_CHANGED_SINCE = text(
    """
    SELECT EXISTS (SELECT FROM changes c
                   WHERE c.person_id = a.person_id AND c.kind = 'account' AND c.approved_at > a.submitted_at)
           OR EXISTS (SELECT FROM applications later
                      WHERE later.person_id = a.person_id AND later.status = 'approved'
                        AND later.account_token IS NOT NULL AND later.submitted_at > a.submitted_at),
           EXISTS (SELECT FROM changes c
                   WHERE c.person_id = a.person_id AND c.kind = 'guardian' AND c.approved_at > a.submitted_at)
    FROM applications a WHERE a.application_id = :application_id
    """
)
"""Whether the account, and the guardian, in force are newer than what an application declares."""
_KEEP_ENTITLEMENTS = text(
    """
    INSERT INTO entitlements (person_id, subsidy, version, is_open, last_period)
    SELECT person_id, subsidy, version, is_open, last_period FROM jsonb_to_recordset(CAST(:told AS jsonb))
        AS told (person_id text, subsidy text, version bigint, is_open boolean, last_period date)
    ORDER BY 1, 2
    ON CONFLICT (person_id, subsidy) DO UPDATE SET version = excluded.version, is_open = excluded.is_open,
        last_period = excluded.last_period
    WHERE entitlements.version < excluded.version
    """
)
_KEEP_ASSESSMENTS = text(
    """
    INSERT INTO assessments (application_id, version, application_version, policy_version, decisions, assessed_at)
    SELECT id, version, application_version, policy_version, CAST(decisions AS jsonb), assessed_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:application_versions AS bigint[]),
        CAST(:policy_versions AS text[]), CAST(:decisions AS text[]), CAST(:assessed_at AS timestamptz[]))
        AS given (id, version, application_version, policy_version, decisions, assessed_at)
    ON CONFLICT DO NOTHING
    """
)

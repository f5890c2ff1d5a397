"""Objections (复核申请) against a decision or a month: filed by one, decided by another than decided before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import insert, select, text, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import FourEyes, NotFound
from libs.common.events.intake import ObjectionAnswered
from libs.common.period import Period
from libs.common.vocabulary import Subsidy
from libs.common.working_days import working_days_after
from services.intake.application_records import (
    Filed,
    load_application,
    save_application,
    settle_subsidies,
    tell_reviewed,
    tell_submitted,
)
from services.intake.applications import Application, refused_anew, reopen
from services.intake.errors import NothingToHandle, ObjectionDecided
from services.intake.filings import Filing, file, note_ended, standings
from services.intake.handlers.forwardings import follow_decision
from services.intake.person_records import load_person
from services.intake.persons import Person
from services.intake.policy_records import parameters_of
from services.intake.receipts import new_receipt_no
from services.intake.tables import objections
from services.intake.vault import Vault

Outcome = Literal["upheld", "dismissed"]


async def object_to_application(
    tx: Transaction, vault: Vault, caller: Principal, application_id: UUID, words: str, *, on: date
) -> UUID:
    """Files an objection against what was decided on an application."""
    filed = await load_application(tx, caller, application_id)
    application = filed.application
    return await _file(
        tx,
        vault,
        caller,
        words,
        on=on,
        person_id=application.person_id,
        area=application.area,
        application_id=application_id,
    )


async def object_to_month(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    person_id: str,
    subsidy: Subsidy,
    period: Period,
    words: str,
    *,
    on: date,
) -> UUID:
    """Files an objection against what became of a month: a stop, an amount."""
    person = await load_person(tx, vault, person_id)
    caller.require_sight(person.area, "person")
    return await _file(
        tx,
        vault,
        caller,
        words,
        on=on,
        person_id=person_id,
        area=person.area,
        subsidy=subsidy,
        period=period.first_day,
    )


async def decide_objection(
    tx: Transaction, vault: Vault, caller: Principal, objection_id: UUID, *, outcome: Outcome, reason: str, on: date
) -> None:
    """Decides it. Upheld, what was refused is reviewed under its first date: a rejected application again, a refused
    subsidy of a granted one as an application of its own. Anything else, as a stop or a month, civil affairs looks into
    within the days of a review.

    Refused: FourEyes for who filed it or decided before on what is objected to, ObjectionDecided, AlreadyApplied.
    """
    query = select(objections).where(objections.c.objection_id == objection_id)
    seen = (await tx.connection.execute(query)).one_or_none()
    if seen is None:
        raise NotFound("no such objection")
    caller.require_sight(seen.area, "objection")
    filed = await load_application(tx, caller, seen.application_id, lock=True) if seen.application_id else None
    await tx.lock(seen.person_id)
    objection = (await tx.connection.execute(query)).one()  # again, behind the lock
    if objection.status != "open":
        raise ObjectionDecided(f"its status is {objection.status}")
    if objection.filed_by == caller.sub:
        raise FourEyes("该复核申请由您提出 (you filed this objection)")
    if caller.sub in await _who_decided_before(tx, objection):
        raise FourEyes("您曾对所异议的事项作出意见 (you gave an opinion on what is objected to)")

    handling = await _begun(tx, vault, objection, filed, on=on) if outcome == "upheld" else {}
    await tx.connection.execute(
        update(objections)
        .where(objections.c.objection_id == objection_id)
        .values(status=outcome, decided_by=caller.sub, decided_on=on, reason=reason, **handling)
    )
    tx.publish(
        ObjectionAnswered(
            person_id=objection.person_id,
            version=1,
            objection_id=objection_id,
            area=objection.area,
            outcome=outcome,
            filed_on=objection.filed_on,
            answered_on=on,
            handle_by=handling.get("handle_by"),
        )
    )
    await record(
        tx, caller, "decide objection", str(objection_id), person_id=objection.person_id, reason=reason, outcome=outcome
    )


async def handle_objection(tx: Transaction, caller: Principal, objection_id: UUID, *, handling: str, on: date) -> None:
    """Notes what civil affairs found and put right of an upheld objection. NothingToHandle."""
    query = select(objections).where(objections.c.objection_id == objection_id).with_for_update()
    objection = (await tx.connection.execute(query)).one_or_none()
    if objection is None:
        raise NotFound("no such objection")
    caller.require_sight(objection.area, "objection")
    if objection.handle_by is None or objection.handled_on is not None:
        raise NothingToHandle
    await tx.connection.execute(
        update(objections)
        .where(objections.c.objection_id == objection_id)
        .values(handled_by=caller.sub, handled_on=on, handling=handling)
    )
    await record(tx, caller, "handle objection", str(objection_id), person_id=objection.person_id)


async def _begun(tx: Transaction, vault: Vault, objection: Any, filed: Filed | None, *, on: date) -> dict[str, Any]:
    """Begins the new handling; what of it is noted with the objection."""
    if filed is not None and filed.application.status == "rejected":
        await _review_again(tx, filed.application, on=on)
        return {}
    person = await load_person(tx, vault, objection.person_id)
    if filed is not None and _may_be_reviewed_anew(filed.application, person):
        return {"new_application_id": await _apply_anew(tx, vault, filed, person, on=on)}
    days = (await parameters_of(tx, objection.area)).deadlines(on).review["civil_affairs"]
    return {"handle_by": working_days_after(on, days)}


async def _review_again(tx: Transaction, rejected: Application, *, on: date) -> None:
    standing = (await standings(tx, {rejected.person_id: rejected.area}, on=on))[rejected.person_id]
    standing.require_free(rejected.subsidies)
    await note_ended(tx, standing.ended, rejected.subsidies)
    application = reopen(rejected, on=on, deadlines=standing.parameters.deadlines(on))
    await save_application(tx, application)
    await settle_subsidies(tx, application)
    await follow_decision(tx, application, on=on)
    tell_reviewed(tx, application, "complete", on=on)


def _may_be_reviewed_anew(application: Application, person: Person) -> bool:
    """Whether part of it was refused by offices that still decide for the person."""
    return (
        application.status == "approved"
        and bool(application.refused)
        and application.channel != "roster"
        and person.area[:6] == application.area[:6]
    )


async def _apply_anew(tx: Transaction, vault: Vault, filed: Filed, person: Person, *, on: date) -> UUID:
    """Files what was refused as an application of its own, with the first one's date and documents. What is in force of
    the person by now stays so: contact, account, guardian, certificate, whether they can act."""
    facts = filed.application.facts.model_copy(update={"certificate": person.certificate})
    before = replace(filed.application, facts=facts)
    standing = (await standings(tx, {person.person_id: person.area}, on=on))[person.person_id]
    application = refused_anew(before, new_id(), area=person.area, on=on, deadlines=standing.parameters.deadlines(on))
    standing.require_free(application.subsidies)
    await note_ended(tx, standing.ended, application.subsidies)
    declared = filed.declaration(vault)
    applicant = declared.applicant.model_copy(
        update={"name": person.name, "phone": person.phone, "hukou_area": person.area}
    )
    in_force = dict.fromkeys(("account", "guardian", "incapacity"))
    declaration = declared.model_copy(update={"applicant": applicant, "subsidies": application.subsidies, **in_force})
    anew = replace(
        filed, application=application, receipt_no=new_receipt_no(person.area, on), received_on=on, accepted_area=None
    )
    file(tx, vault, Filing(anew, declaration, None))
    await tx.flush()
    of_both = {"before": before.application_id, "anew": application.application_id}
    await tx.connection.execute(_COPY_DOCUMENTS, of_both)
    tell_submitted(tx, application)
    return application.application_id


_COPY_DOCUMENTS = text(
    """
    WITH kept AS MATERIALIZED (
        SELECT uuidv7() AS copy_id, d.* FROM documents d WHERE d.application_id = :before
        AND NOT EXISTS (SELECT FROM documents later WHERE later.replaces = d.document_id)),
    copied AS (
        INSERT INTO documents (document_id, application_id, kind, source, sha256, uploaded_by, uploaded_at)
        SELECT copy_id, :anew, kind, source, sha256, uploaded_by, uploaded_at FROM kept)
    INSERT INTO national_uploads (document_id, state, attempts, due_at, receipt_no, received_at, problem)
    SELECT copy_id, state, attempts, due_at, receipt_no, received_at, problem
    FROM kept JOIN national_uploads USING (document_id)
    """
)


async def _who_decided_before(tx: Transaction, objection: Any) -> set[str]:
    """Who reviewed the application, or those that grant the subsidy of the month; who confirmed a finding or pushed a
    fact about the person, where it is about a month; and who decided on it before."""
    found = await tx.connection.execute(
        text(
            "SELECT r.sub FROM reviews r WHERE r.application_id = :application_id OR r.application_id IN"
            " (SELECT s.application_id FROM applied_subsidies s WHERE CAST(:application_id AS uuid) IS NULL"
            " AND s.person_id = :person_id AND s.subsidy = :subsidy AND s.state IN ('granted', 'ended'))"
            " UNION SELECT v.sub FROM vouchings v"
            " WHERE CAST(:application_id AS uuid) IS NULL AND v.person_id = :person_id"
            " UNION SELECT o.decided_by FROM objections o WHERE o.decided_by IS NOT NULL AND o.person_id = :person_id"
            " AND (o.application_id = :application_id OR (o.subsidy = :subsidy AND o.period = :period))"
        ),
        {
            "application_id": objection.application_id,
            "person_id": objection.person_id,
            "subsidy": objection.subsidy,
            "period": objection.period,
        },
    )
    return set(found.scalars())


async def _file(
    tx: Transaction, vault: Vault, caller: Principal, words: str, *, on: date, person_id: str, area: str, **about: Any
) -> UUID:
    objection_id: UUID = new_id()
    days = (await parameters_of(tx, area)).days("objection.answer_days", on)
    await tx.connection.execute(
        insert(objections).values(
            objection_id=objection_id,
            person_id=person_id,
            sealed_text=vault.sealer.seal(words, "objections", objection_id, "text"),
            status="open",
            filed_by=caller.sub,
            filed_on=on,
            filed_at=tx.now,
            due_on=working_days_after(on, days),
            area=area,
            **about,
        )
    )
    await record(tx, caller, "file objection", str(objection_id), person_id=person_id)
    return objection_id

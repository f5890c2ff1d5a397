"""Objections (复核申请) against a decision or a month: filed by one, decided by another than decided before."""

from __future__ import annotations

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
    load_application,
    save_application,
    settle_subsidies,
    tell_reviewed,
)
from services.intake.applications import reopen
from services.intake.errors import ObjectionDecided
from services.intake.filings import note_ended, standings
from services.intake.handlers.forwardings import follow_decision
from services.intake.person_records import load_person
from services.intake.policy_records import parameters_of
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
    tx: Transaction, caller: Principal, objection_id: UUID, *, outcome: Outcome, reason: str, on: date
) -> None:
    """Decides it; of a rejected application that it upholds, the review is opened again under its first date.

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

    await tx.connection.execute(
        update(objections)
        .where(objections.c.objection_id == objection_id)
        .values(status=outcome, decided_by=caller.sub, decided_on=on, reason=reason)
    )
    if outcome == "upheld" and filed is not None and filed.application.status == "rejected":
        before = filed.application
        standing = (await standings(tx, {before.person_id: before.area}, on=on))[before.person_id]
        standing.require_free(before.subsidies)
        await note_ended(tx, standing.ended, before.subsidies)
        application = reopen(before, on=on, deadlines=standing.parameters.deadlines(on))
        await save_application(tx, application)
        await settle_subsidies(tx, application)
        await follow_decision(tx, application, on=on)
        tell_reviewed(tx, application, "complete", on=on)
    tx.publish(
        ObjectionAnswered(
            person_id=objection.person_id,
            version=1,
            objection_id=objection_id,
            area=objection.area,
            outcome=outcome,
            filed_on=objection.filed_on,
            answered_on=on,
        )
    )
    await record(
        tx, caller, "decide objection", str(objection_id), person_id=objection.person_id, reason=reason, outcome=outcome
    )


async def _who_decided_before(tx: Transaction, objection: Any) -> set[str]:
    """Who reviewed the application, or those that grant the subsidy of the month; and who decided on it before."""
    found = await tx.connection.execute(
        text(
            "SELECT r.sub FROM reviews r WHERE r.application_id = :application_id OR r.application_id IN"
            " (SELECT s.application_id FROM applied_subsidies s WHERE CAST(:application_id AS uuid) IS NULL"
            " AND s.person_id = :person_id AND s.subsidy = :subsidy AND s.state IN ('granted', 'ended'))"
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

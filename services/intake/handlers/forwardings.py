"""Cross-province applications between the place that accepted them and the place that decides (跨省通办)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Filled, Transaction
from libs.common.errors import NotFound
from services.intake.application_records import Filed, load_application
from services.intake.applications import Application
from services.intake.errors import NotForwarded
from services.intake.forwardings import Forwarding, accepted, decided, forwarded, told
from services.intake.policy_records import parameters_of
from services.intake.tables import forwardings

_DECIDED = ("approved", "rejected", "withdrawn")
_FORWARDINGS = Filled("forwardings", [column.name for column in forwardings.c])


async def accept_for_elsewhere(tx: Transaction, caller: Principal, filed: Filed, *, on: date) -> None:
    """Starts the clocks of a cross-province application. Where the deciding place itself receives it, it is forwarded
    already."""
    application = filed.application
    if application.channel != "cross_province" or filed.accepted_area is None:
        return
    accepting = await parameters_of(tx, filed.accepted_area)
    forwarding = accepted(application.application_id, accepting, application.area, on=on)
    if caller.covers(application.area):
        forwarding = forwarded(forwarding, await parameters_of(tx, application.area), by=caller.sub, on=on)
    tx.append(_FORWARDINGS, asdict(forwarding))


async def forward_application(tx: Transaction, caller: Principal, application_id: UUID, *, on: date) -> Forwarding:
    """Forwards an application to where it is decided. AlreadyForwarded; NotFound outside the accepting place."""
    forwarding, filed = await _of_accepting_place(tx, caller, application_id)
    forwarding = forwarded(forwarding, await parameters_of(tx, forwarding.deciding_area), by=caller.sub, on=on)
    await _save(tx, forwarding)
    person_id = filed.application.person_id
    await record(tx, caller, "forward application", str(application_id), person_id=person_id)
    return forwarding


async def tell_result(tx: Transaction, caller: Principal, application_id: UUID, *, on: date) -> Forwarding:
    """The accepting place has told the applicant what was decided. NotDecidedYet, ResultTold."""
    forwarding, filed = await _of_accepting_place(tx, caller, application_id)
    forwarding = told(forwarding, by=caller.sub, on=on)
    await _save(tx, forwarding)
    await record(tx, caller, "tell result", str(application_id), person_id=filed.application.person_id)
    return forwarding


async def require_forwarded(tx: Transaction, application: Application) -> None:
    """NotForwarded while a cross-province application is still with the place that accepted it."""
    if application.channel != "cross_province" or application.status != "submitted":
        return
    forwarding = await find_forwarding(tx, application.application_id)
    if forwarding is not None and forwarding.forwarded_on is None:
        raise NotForwarded(f"受理地应于{forwarding.forward_due_on}前转办 (it is due on {forwarding.forward_due_on})")


async def follow_decision(tx: Transaction, application: Application, *, on: date) -> None:
    """Starts the accepting place's last clock once an application is decided; stops it when it is reviewed again."""
    if application.channel != "cross_province":
        return
    forwarding = await find_forwarding(tx, application.application_id)
    if forwarding is None or forwarding.forwarded_on is None:
        return
    is_decided = application.status in _DECIDED
    if is_decided != (forwarding.decided_on is not None):
        accepting = await parameters_of(tx, forwarding.accepted_area)
        await _save(tx, decided(forwarding, accepting, on=on if is_decided else None))


async def find_forwarding(tx: Transaction, application_id: UUID) -> Forwarding | None:
    found = await tx.connection.execute(select(forwardings).where(forwardings.c.application_id == application_id))
    row = found.mappings().one_or_none()
    return None if row is None else forwarding_in(row)


def forwarding_in(row: Mapping[Any, Any]) -> Forwarding:
    """The forwarding in a row of the table."""
    return Forwarding(**{item.name: row[item.name] for item in fields(Forwarding)})


async def _of_accepting_place(tx: Transaction, caller: Principal, application_id: UUID) -> tuple[Forwarding, Filed]:
    filed = await load_application(tx, caller, application_id, lock=True)
    forwarding = await find_forwarding(tx, application_id)
    if forwarding is None:
        raise NotFound("this application is decided where it was accepted")
    caller.require_sight(forwarding.accepted_area, "application of yours to forward")
    return forwarding, filed


async def _save(tx: Transaction, forwarding: Forwarding) -> None:
    await tx.connection.execute(
        update(forwardings)
        .where(forwardings.c.application_id == forwarding.application_id)
        .values(**{name: value for name, value in asdict(forwarding).items() if name != "application_id"})
    )

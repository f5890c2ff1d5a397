"""Moves between counties (迁移): proposed by one side, accepted or refused by the county moved to.

An accepted transfer continues the spell there (`domain.md`: without it the spell ends with the month of the move); the
archive is read by both.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import Forbidden, FourEyes, InvalidInput, NotFound
from libs.common.events.intake import TransferAccepted
from libs.common.working_days import working_days_after
from services.intake.errors import TransferDecided, TransferOpen
from services.intake.person_records import (
    current_account,
    current_guardian,
    load_person,
    save_person,
    tell_contact,
    tell_payee,
)
from services.intake.policy_records import parameters_of
from services.intake.tables import transfers
from services.intake.vault import Vault

_COUNTY_DIGITS = 6


async def propose_transfer(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    person_id: str,
    to_area: str,
    moved_on: date,
    *,
    on: date,
) -> dict[str, Any]:
    """Proposes that a person who moved on that day is paid by the new county from the month after.

    Refused: InvalidInput (within one county, in the future), TransferOpen, NotFound for a person that neither side of
    the caller's area knows.
    """
    await tx.lock(person_id)
    person = await load_person(tx, vault, person_id)
    if not caller.covers(to_area):
        caller.require_sight(person.area, "person")
    if person.area[:_COUNTY_DIGITS] == to_area[:_COUNTY_DIGITS]:
        raise InvalidInput.at("to_area", "仍在同一县，县内迁移无须转移 (a move within a county changes nothing)")
    if moved_on > on:
        raise InvalidInput.at("moved_on", "日期尚未到来 (lies in the future)")
    waiting = select(transfers.c.transfer_id).where(
        transfers.c.person_id == person_id, transfers.c.status == "proposed"
    )
    if (transfer_id := (await tx.connection.execute(waiting)).scalar_one_or_none()) is not None:
        raise TransferOpen(f"transfer {transfer_id}", transfer_id=str(transfer_id))
    days = (await parameters_of(tx, to_area)).days("transfer.answer_days", on)
    row = {
        "transfer_id": new_id(),
        "person_id": person_id,
        "from_area": person.area,
        "to_area": to_area,
        "moved_on": moved_on,
        "status": "proposed",
        "due_on": working_days_after(on, days),
        "proposed_by": caller.sub,
        "proposed_at": tx.now,
    }
    await tx.connection.execute(insert(transfers).values(**row))
    await record(tx, caller, "propose transfer", str(row["transfer_id"]), person_id=person_id)
    return row


async def decide_transfer(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    transfer_id: UUID,
    *,
    accepts: bool,
    reason: str | None,
    on: date,
) -> None:
    """The county moved to accepts or refuses. Accepted, eligibility is told, and who pays and reaches the person.

    Refused: Forbidden to the county moved from, FourEyes for who proposed it, TransferDecided, InvalidInput.
    """
    query = select(transfers).where(transfers.c.transfer_id == transfer_id)
    seen = (await tx.connection.execute(query)).one_or_none()
    if seen is None or not (caller.covers(seen.to_area) or caller.covers(seen.from_area)):
        raise NotFound("no such transfer")
    if not caller.covers(seen.to_area):
        raise Forbidden("由迁入地县级民政部门答复 (the county moved to decides)")
    await tx.lock(seen.person_id)
    transfer = (await tx.connection.execute(query)).one()  # again, behind the lock
    if transfer.status != "proposed":
        raise TransferDecided(f"its status is {transfer.status}")
    if transfer.proposed_by == caller.sub:
        raise FourEyes("该转移由您提出 (you proposed this transfer)")
    if not accepts and not reason:
        raise InvalidInput.at("reason", "不予接收须说明理由 (to refuse a transfer needs a reason)")
    await tx.connection.execute(
        update(transfers)
        .where(transfers.c.transfer_id == transfer_id)
        .values(status="accepted" if accepts else "refused", decided_by=caller.sub, decided_on=on, reason=reason)
    )
    if accepts:
        await _take_over(tx, vault, transfer, on=on)
    deed = "accept transfer" if accepts else "refuse transfer"
    await record(tx, caller, deed, str(transfer_id), person_id=transfer.person_id, reason=reason)


async def prefilled(tx: Transaction, vault: Vault, person_id: str) -> dict[str, Any]:
    """What the new county need not ask again: what was granted, the certificate, the archives, the account's state."""
    person = await load_person(tx, vault, person_id)
    account = await current_account(tx, vault, person_id)
    granted = await tx.connection.execute(
        text(
            "SELECT a.application_id, a.receipt_no, a.granted, a.decided_on, a.facts,"
            " (SELECT count(*) FROM documents d WHERE d.application_id = a.application_id) AS documents"
            " FROM applications a WHERE a.person_id = :person_id AND a.status = 'approved'"
            " ORDER BY a.application_id DESC"
        ),
        {"person_id": person_id},
    )
    return {
        "certificate": person.certificate and person.certificate.model_dump(mode="json"),
        "account": account and {"holder": account.account.holder, "status": account.account.status},
        "granted": rows(granted),
    }


async def _take_over(tx: Transaction, vault: Vault, transfer: Any, *, on: date) -> None:
    tx.publish(
        TransferAccepted(
            person_id=transfer.person_id,
            fact_id=transfer.transfer_id,
            occurred_on=transfer.moved_on,
            known_at=tx.now,
            source="review",
            area=transfer.to_area,
            from_area=transfer.from_area,
            to_area=transfer.to_area,
            accepted_on=on,
        )
    )
    person = replace(await load_person(tx, vault, transfer.person_id), area=transfer.to_area)
    person = tell_contact(tx, vault, person, await current_guardian(tx, vault, transfer.person_id))
    if person.payee_version > 0:
        account = await current_account(tx, vault, transfer.person_id)
        person = tell_payee(tx, vault, person, account, on=on)
    await save_person(tx, vault, person)

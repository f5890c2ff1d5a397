"""A person's contact, guardian and account. Where the money goes is proposed by one and approved by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import FourEyes, InvalidInput, NotFound
from libs.common.identity import mask_account, mask_id_number, mask_name
from services.intake.declarations import repaired_account, repaired_guardian, repaired_id_number, repaired_phone
from services.intake.errors import AgainstRegisters, ChangeDecided, NoGuardian
from services.intake.handlers.merges import correct_id_number
from services.intake.handlers.registers import against_registers, on_record, settle_leads
from services.intake.payee import Account, Guardian, Incapacity, account_after, institution_of, require_rightful
from services.intake.person_records import (
    current_account,
    current_guardian,
    load_person,
    persons_sharing,
    record_account,
    record_guardian,
    save_person,
    tell_contact,
    tell_payee,
)
from services.intake.persons import Person, RecordedAccount, RecordedGuardian
from services.intake.registers import IN_WORDS, LeadKind
from services.intake.tables import changes, persons
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True)
class Proposed:
    """A change that waits for approval. `against`: what departments' registers say otherwise, in words."""

    change_id: UUID
    against: Sequence[str]


@dataclass(frozen=True, slots=True)
class ApprovedChange:
    """A change that is in force. `shared_with`: other persons who are paid to the same account, an alarm."""

    change_id: UUID
    person_id: str
    effective_on: date
    shared_with: Sequence[str]


async def propose_account(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    person_id: str,
    account: Account,
    *,
    effective_on: date | None,
    on: date,
) -> Proposed:
    """Proposes where the money goes from now on; in the place of a proposal still pending.

    Refused: InvalidInput, OwnCardFirst (notice 4.4), NoGuardian.
    """
    await tx.lock(person_id)
    person = await _person_in_sight(tx, vault, caller, person_id)
    rightful = await _rightful(tx, vault, person, repaired_account(account), effective_on or on, on=on)
    against = await _against_account(tx, vault, person, rightful, on=on)
    body = rightful.account.model_dump_json()
    return await _propose(tx, vault, caller, person_id, "account", body, against, effective_on=effective_on, on=on)


async def propose_guardian(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    person_id: str,
    guardian: Guardian,
    *,
    effective_on: date | None,
    on: date,
) -> Proposed:
    """Proposes who is guardian from now on; in the place of a proposal still pending. InvalidInput."""
    await tx.lock(person_id)
    person = await _person_in_sight(tx, vault, caller, person_id)
    guardian = repaired_guardian(guardian, on=on, path="")
    if guardian.id_number == person.id_number:
        raise InvalidInput.at("id_number", "是本人的身份证号 (is the person's own)")
    against = await _against_guardian(tx, vault, person, guardian, effective_on or on, on=on)
    body = guardian.model_dump_json()
    return await _propose(tx, vault, caller, person_id, "guardian", body, against, effective_on=effective_on, on=on)


async def propose_id_number(
    tx: Transaction, vault: Vault, caller: Principal, person_id: str, id_number: str, *, on: date
) -> Proposed:
    """Proposes that the person's resident ID was wrong and what it is; approved, the two become one. InvalidInput."""
    await tx.lock(person_id)
    person = await _person_in_sight(tx, vault, caller, person_id)
    id_number = repaired_id_number(id_number, on=on)
    if id_number == person.id_number:
        raise InvalidInput.at("id_number", "与现有身份证号相同 (is the person's already)")
    return await _propose(tx, vault, caller, person_id, "id_number", id_number, [], effective_on=None, on=on)


async def approve_change(
    tx: Transaction, vault: Vault, caller: Principal, change_id: UUID, *, reason: str | None = None, on: date
) -> ApprovedChange:
    """Puts a proposed change in force at once: nothing unsent goes to the account or guardian of before (notice 4.5).

    Refused: FourEyes for who proposed it, ChangeDecided, AgainstRegisters for what departments' registers have
    otherwise, unless there is a `reason`, and whatever has come to refuse the account since.
    """
    person_id = (
        await tx.connection.execute(select(changes.c.person_id).where(changes.c.change_id == change_id))
    ).scalar_one_or_none()
    if person_id is None:
        raise NotFound("no such change")
    await tx.lock(person_id)
    person = await _person_in_sight(tx, vault, caller, person_id)
    change = (await tx.connection.execute(select(changes).where(changes.c.change_id == change_id))).one()
    if change.status != "pending":
        raise ChangeDecided(f"its status is {change.status}")
    if change.proposed_by == caller.sub:
        raise FourEyes("该变更由您提出 (you proposed this change)")

    body = vault.sealer.open(change.sealed_body, "changes", change_id, "body")
    if change.kind == "id_number":
        await _approve(tx, caller, change, reason)
        into_person_id = vault.persons.person_id(body)
        await tx.lock(into_person_id)
        await correct_id_number(tx, vault, person_id, body, on=on)
        return ApprovedChange(change_id, into_person_id, change.effective_on, shared_with=[])
    current = await current_account(tx, vault, person_id)
    account: RecordedAccount | None
    if change.kind == "account":
        # Judged again: guardian, card and capacity may have changed since it was proposed.
        account = await _rightful(tx, vault, person, Account.model_validate_json(body), change.effective_on, on=on)
        against = await _against_account(tx, vault, person, account, on=on)
    else:
        guardian = RecordedGuardian(Guardian.model_validate_json(body), change.effective_on)
        account = _account_after_guardian(current, guardian)
        against = await _against_guardian(tx, vault, person, guardian.guardian, change.effective_on, on=on)
    if against and not reason:
        raise AgainstRegisters("；".join(IN_WORDS[kind] for kind in against))
    if change.kind == "guardian":
        await record_guardian(tx, vault, person_id, guardian)
        person = tell_contact(tx, vault, person, guardian)
    if account != current:
        await record_account(tx, vault, person_id, account)
    person = await settle_leads(tx, vault, person, on=on)
    await save_person(tx, vault, tell_payee(tx, vault, person, account, on=on))
    await _approve(tx, caller, change, reason)
    return ApprovedChange(
        change_id=change_id,
        person_id=person_id,
        effective_on=change.effective_on,
        shared_with=await _sharing(tx, vault, person_id, account),
    )


async def _approve(tx: Transaction, caller: Principal, change: Any, reason: str | None) -> None:
    await tx.connection.execute(
        update(changes)
        .where(changes.c.change_id == change.change_id)
        .values(status="approved", approved_by=caller.sub, approved_at=tx.now, reason=reason)
    )
    deed = f"approve {change.kind} change"
    await record(tx, caller, deed, str(change.change_id), person_id=change.person_id, reason=reason)


async def _against_account(
    tx: Transaction, vault: Vault, person: Person, account: RecordedAccount, *, on: date
) -> list[LeadKind]:
    """What the register of cards says against it."""
    guardian = await current_guardian(tx, vault, person.person_id)
    return await against_registers(tx, person, on_record(vault, account, guardian), ("social_cards",), on=on)


async def _against_guardian(
    tx: Transaction, vault: Vault, person: Person, guardian: Guardian, effective_on: date, *, on: date
) -> list[LeadKind]:
    """What the registers of guardianships and institutions say against them."""
    account = await current_account(tx, vault, person.person_id)
    would_be = on_record(vault, account, RecordedGuardian(guardian, effective_on))
    return await against_registers(tx, person, would_be, ("guardianships", "institution_residents"), on=on)


def change_in_words(vault: Vault, row: Mapping[str, Any]) -> str:
    """What a proposed change says, for who decides on it: whose account or guardian, masked."""
    body = vault.sealer.open(row["sealed_body"], "changes", row["change_id"], "body")
    said: tuple[str | None, ...]
    match row["kind"]:
        case "account":
            account = Account.model_validate_json(body)
            number = mask_account(account.number) if account.number else ""
            said = (_HOLDERS[account.holder], account.bank, number, _CARDS[account.status], account.reason)
        case "guardian":
            guardian = Guardian.model_validate_json(body)
            said = (_GUARDIANS[guardian.kind], mask_name(guardian.name), guardian.org_code)
        case _:
            said = (mask_id_number(body),)
    return "，".join(part for part in said if part)


_HOLDERS = {"own": "本人账户", "guardian": "监护人账户"}
_CARDS = {"active": "已激活", "inactive": "未激活", "none": "无社会保障卡"}
_GUARDIANS = {"person": "个人监护人", "institution": "机构监护人"}


async def reject_change(tx: Transaction, caller: Principal, change_id: UUID, *, reason: str) -> None:
    """Turns a proposed change down; what is in force stays. FourEyes for who proposed it, ChangeDecided."""
    query = select(changes, persons.c.area).join(persons, persons.c.person_id == changes.c.person_id)
    query = query.where(changes.c.change_id == change_id)
    seen = (await tx.connection.execute(query)).one_or_none()
    if seen is None:
        raise NotFound("no such change")
    caller.require_sight(seen.area, "change")
    await tx.lock(seen.person_id)
    change = (await tx.connection.execute(query)).one()  # again, behind the lock
    if change.status != "pending":
        raise ChangeDecided(f"its status is {change.status}")
    if change.proposed_by == caller.sub:
        raise FourEyes("该变更由您提出 (you proposed this change)")
    await tx.connection.execute(
        update(changes)
        .where(changes.c.change_id == change_id)
        .values(status="rejected", rejected_by=caller.sub, rejected_at=tx.now, reason=reason)
    )
    await record(tx, caller, f"reject {change.kind} change", str(change_id), person_id=change.person_id, reason=reason)


async def change_contact(tx: Transaction, vault: Vault, caller: Principal, person_id: str, phone: str | None) -> None:
    """Notes how the person is reached. InvalidInput at `phone`."""
    await tx.lock(person_id)
    person = await _person_in_sight(tx, vault, caller, person_id)
    changed = replace(person, phone=repaired_phone(phone) if phone else None, phone_given_at=tx.now)
    if changed.phone != person.phone:
        guardian = await current_guardian(tx, vault, person_id)
        await save_person(tx, vault, tell_contact(tx, vault, changed, guardian))
    await record(tx, caller, "change contact", person_id, person_id=person_id)


async def note_incapacity(
    tx: Transaction, vault: Vault, caller: Principal, person_id: str, incapacity: Incapacity | None, *, on: date
) -> None:
    """Records, or takes back, the finding that an adult cannot act (notice 4.4), and tells who pays."""
    await tx.lock(person_id)
    person = await _person_in_sight(tx, vault, caller, person_id)
    if incapacity is not None and incapacity.found_on > on:
        raise InvalidInput.at("found_on", "日期尚未到来 (lies in the future)")
    changed = replace(person, incapacity=incapacity)
    if person.payee_version > 0:
        changed = tell_payee(tx, vault, changed, await current_account(tx, vault, person_id), on=on)
    await save_person(tx, vault, changed)
    await record(tx, caller, "note incapacity", person_id, person_id=person_id, noted=incapacity is not None)


async def tell_who_came_of_age(tx: Transaction, vault: Vault, as_of: date) -> int:
    """Tells of everybody who is of age by `as_of` and was told of as a minor; how many there were.

    Who is able to act is not paid through a guardian any longer (notice 4.4).
    """
    found = await tx.connection.execute(
        select(persons.c.person_id)
        .where(persons.c.adult_on <= as_of, persons.c.cannot_act_told)
        .order_by(persons.c.person_id)
    )
    person_ids = list(found.scalars())
    await tx.lock(*person_ids)
    told = 0
    for person_id in person_ids:
        person = await load_person(tx, vault, person_id)
        if not person.cannot_act(as_of):
            account = await current_account(tx, vault, person_id)
            await save_person(tx, vault, tell_payee(tx, vault, person, account, on=as_of))
            told += 1
    return told


async def _person_in_sight(tx: Transaction, vault: Vault, caller: Principal, person_id: str) -> Person:
    person = await load_person(tx, vault, person_id)
    caller.require_sight(person.area, "person")
    return person


async def _propose(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    person_id: str,
    kind: str,
    body: str,
    against: Sequence[LeadKind],
    *,
    effective_on: date | None,
    on: date,
) -> Proposed:
    if effective_on is not None and effective_on > on:
        raise InvalidInput.at("from", "日期尚未到来，届时再提出 (lies in the future: propose it when it is so)")
    await tx.connection.execute(
        update(changes)
        .where(changes.c.person_id == person_id, changes.c.kind == kind, changes.c.status == "pending")
        .values(status="replaced")
    )
    change_id: UUID = new_id()
    await tx.connection.execute(
        insert(changes).values(
            change_id=change_id,
            person_id=person_id,
            kind=kind,
            sealed_body=vault.sealer.seal(body, "changes", change_id, "body"),
            effective_on=effective_on or on,
            status="pending",
            proposed_by=caller.sub,
            proposed_at=tx.now,
            against=against,
        )
    )
    await record(tx, caller, f"propose {kind} change", str(change_id), person_id=person_id)
    return Proposed(change_id, [IN_WORDS[each] for each in against])


async def _rightful(
    tx: Transaction, vault: Vault, person: Person, account: Account, effective_on: date, *, on: date
) -> RecordedAccount:
    """The account as it would be recorded, if money may go there."""
    found = await current_guardian(tx, vault, person.person_id)
    guardian = found.guardian if found else None
    if account.holder == "guardian" and guardian is None:
        raise NoGuardian("请先登记监护人 (record the guardian first)")
    current = await current_account(tx, vault, person.person_id)
    rightful = require_rightful(
        account,
        person_name=person.name,
        guardian=guardian,
        cannot_act=person.cannot_act(on),
        own_card_active=current is not None and current.is_active_own_card,
    )
    return RecordedAccount(rightful, institution_of(account, guardian), effective_on)


def _account_after_guardian(current: RecordedAccount | None, guardian: RecordedGuardian) -> RecordedAccount | None:
    account = account_after(guardian.guardian, current.account if current else None)
    if current is None or account is None:
        return None
    if account == current.account:
        return current
    return RecordedAccount(account, institution_of(account, guardian.guardian), guardian.effective_on)


async def _sharing(tx: Transaction, vault: Vault, person_id: str, recorded: RecordedAccount | None) -> Sequence[str]:
    if recorded is None or recorded.institution or recorded.account.number is None:
        return []
    return await persons_sharing(tx, vault, person_id, recorded.account.number)

"""How persons, their guardians and accounts lie in the tables, sealed; and the events that tell of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.database import Transaction, new_id, rows
from libs.common.errors import NotFound
from libs.common.events.intake import CertificateClaim, ContactChanged, PayeeAccount, PayeeChanged
from services.intake.errors import PersonMerged
from services.intake.payee import Account, Guardian, Incapacity
from services.intake.persons import Person, RecordedAccount, RecordedGuardian
from services.intake.tables import accounts, guardians, persons
from services.intake.vault import Vault

# Built once: building them anew costs as much as running them.
_SELECT_PERSON = select(persons).where(persons.c.person_id == bindparam("key"))
_INSERT_PERSON = insert(persons)
_UPSERT_PERSON = _INSERT_PERSON.on_conflict_do_update(
    index_elements=["person_id"],
    set_={
        column.name: _INSERT_PERSON.excluded[column.name]
        for column in persons.c
        if column.name not in ("created_at", "merged_into")
    },
)
_CURRENT_ACCOUNT = select(accounts).where(accounts.c.person_id == bindparam("key"), accounts.c.replaced_at.is_(None))
_REPLACE_ACCOUNT = update(accounts).where(accounts.c.person_id == bindparam("key"), accounts.c.replaced_at.is_(None))
_INSERT_ACCOUNT = insert(accounts)

_LOOK_ALIKES = text(
    """
    WITH me AS (SELECT phone_token, name_birth_token FROM persons WHERE person_id = :person_id),
    alike AS (
        SELECT p.person_id, 'phone' AS because FROM persons p JOIN me USING (phone_token)
        UNION SELECT p.person_id, 'name_and_birth' FROM persons p JOIN me USING (name_birth_token)
        UNION SELECT a.person_id, 'account' FROM accounts a
            WHERE a.number_token = :account_token AND a.replaced_at IS NULL
        UNION SELECT a.person_id, 'account' FROM applications a
            WHERE a.account_token = :account_token AND a.status IN ('submitted', 'in_review', 'returned'))
    SELECT alike.person_id, p.area, array_agg(alike.because ORDER BY alike.because) AS because
    FROM alike JOIN persons p USING (person_id)
    WHERE alike.person_id <> :person_id AND p.merged_into IS NULL
    GROUP BY alike.person_id, p.area ORDER BY alike.person_id LIMIT 50
    """
)


async def find_person(tx: Transaction, vault: Vault, person_id: str) -> Person | None:
    found = await tx.connection.execute(_SELECT_PERSON, {"key": person_id})
    row = found.mappings().one_or_none()
    return None if row is None else person_in(vault, row)


async def look_alikes(tx: Transaction, person_id: str, account_token: str | None) -> Sequence[dict[str, Any]]:
    """Other persons with the same phone, the same name and birth date, or the same account, paid or applied for."""
    found = await tx.connection.execute(_LOOK_ALIKES, {"person_id": person_id, "account_token": account_token})
    return rows(found)


async def load_person(tx: Transaction, vault: Vault, person_id: str) -> Person:
    """NotFound when intake does not know the person."""
    person = await find_person(tx, vault, person_id)
    if person is None:
        raise NotFound("no such person")
    return person


async def save_person(tx: Transaction, vault: Vault, person: Person) -> None:
    await tx.connection.execute(_UPSERT_PERSON, person_row(vault, person))


def person_row(vault: Vault, person: Person) -> dict[str, Any]:
    """The row of a person, but for when it was made."""
    key = person.person_id
    return {
        "person_id": key,
        "area": person.area,
        "sealed_identity": vault.sealer.seal(
            json.dumps([person.name, person.id_number, person.phone], ensure_ascii=False), *_identity_place(key)
        ),
        "phone_given_at": person.phone_given_at,
        "adult_on": person.adult_on,
        "certificate": person.certificate and person.certificate.model_dump(mode="json", by_alias=True),
        "incapacity": person.incapacity and person.incapacity.model_dump(mode="json"),
        "payee_version": person.payee_version,
        "contact_version": person.contact_version,
        "cannot_act_told": person.cannot_act_told,
        "guardian_in_question": person.guardian_in_question,
        "phone_token": person.phone and vault.persons.token("phone", person.phone),
        "name_birth_token": vault.persons.token("name and birth", f"{person.name} {person.id_number[6:14]}"),
    }


def name_in(vault: Vault, row: RowMapping | Mapping[str, Any]) -> str:
    """The name in a row that has `person_id` and `sealed_identity`."""
    return _identity_in(vault, row)[0]


def _identity_in(vault: Vault, row: RowMapping | Mapping[str, Any]) -> tuple[str, str, str | None]:
    """Name, resident ID and phone: sealed as one, which costs a third of three."""
    name, id_number, phone = json.loads(vault.sealer.open(row["sealed_identity"], *_identity_place(row["person_id"])))
    return name, id_number, phone


def _identity_place(person_id: str) -> tuple[str, ...]:
    return ("persons", person_id, "identity")


async def current_account(tx: Transaction, vault: Vault, person_id: str) -> RecordedAccount | None:
    found = await tx.connection.execute(_CURRENT_ACCOUNT, {"key": person_id})
    row = found.mappings().one_or_none()
    if row is None:
        return None
    place = ("accounts", row["account_id"])
    account = Account(
        holder="own" if row["holder"] == "own" else "guardian",
        bank=row["bank"],
        number=vault.open(row["sealed_number"], *place, "number"),
        status=row["status"],
        reason=row["reason"],
        holder_name=vault.open(row["sealed_holder_name"], *place, "holder_name"),
    )
    return RecordedAccount(account, institution=row["institution"], effective_on=row["effective_on"])


async def record_account(tx: Transaction, vault: Vault, person_id: str, recorded: RecordedAccount | None) -> None:
    """Puts this account in the place of the one in force; None leaves the person without."""
    await tx.connection.execute(_REPLACE_ACCOUNT, {"key": person_id, "replaced_at": tx.now})
    if recorded is None:
        return
    await tx.connection.execute(_INSERT_ACCOUNT, account_row(vault, person_id, recorded) | {"recorded_at": tx.now})


def account_row(vault: Vault, person_id: str, recorded: RecordedAccount) -> dict[str, Any]:
    """The account under a new id, sealed; but for when it was recorded."""
    account, account_id = recorded.account, new_id()
    assert account.holder_name is not None
    number = account.number
    return {
        "account_id": account_id,
        "person_id": person_id,
        "holder": _holder(recorded),
        "institution": recorded.institution,
        "status": account.status,
        "bank": account.bank,
        "sealed_holder_name": vault.seal(account.holder_name, "accounts", account_id, "holder_name"),
        "sealed_number": vault.seal(number, "accounts", account_id, "number"),
        "number_last4": number and number[-4:],
        "number_token": number and vault.persons.token("account", number),
        "reason": account.reason,
        "effective_on": recorded.effective_on,
    }


async def persons_sharing(tx: Transaction, vault: Vault, person_id: str, number: str) -> Sequence[str]:
    """Other persons whose money goes to this account, but for an institution's: an alarm, whoever holds it."""
    found = await tx.connection.execute(
        select(accounts.c.person_id).where(
            accounts.c.number_token == vault.persons.token("account", number),
            accounts.c.replaced_at.is_(None),
            accounts.c.person_id != person_id,
            accounts.c.holder != "institution",
        )
    )
    return list(found.scalars())


async def current_guardian(tx: Transaction, vault: Vault, person_id: str) -> RecordedGuardian | None:
    found = await tx.connection.execute(
        select(guardians).where(guardians.c.person_id == person_id, guardians.c.replaced_at.is_(None))
    )
    row = found.mappings().one_or_none()
    if row is None:
        return None
    opened = vault.sealer.open(row["sealed_guardian"], "guardians", row["guardian_id"], "guardian")
    return RecordedGuardian(Guardian.model_validate_json(opened), effective_on=row["effective_on"])


async def record_guardian(tx: Transaction, vault: Vault, person_id: str, recorded: RecordedGuardian) -> None:
    """Puts this guardian in the place of the one in force."""
    await tx.connection.execute(
        update(guardians)
        .where(guardians.c.person_id == person_id, guardians.c.replaced_at.is_(None))
        .values(replaced_at=tx.now)
    )
    await tx.connection.execute(insert(guardians), guardian_row(vault, person_id, recorded) | {"recorded_at": tx.now})


def guardian_row(vault: Vault, person_id: str, recorded: RecordedGuardian) -> dict[str, Any]:
    """The guardian under a new id, sealed; but for when it was recorded."""
    guardian_id = new_id()
    return {
        "guardian_id": guardian_id,
        "person_id": person_id,
        "kind": recorded.guardian.kind,
        "sealed_guardian": vault.seal(recorded.guardian.model_dump_json(), "guardians", guardian_id, "guardian"),
        "effective_on": recorded.effective_on,
    }


Place = Callable[[str], tuple[object, ...]]
"""What the text of a field is bound to by its seal."""


def tell_payee(tx: Transaction, vault: Vault, person: Person, recorded: RecordedAccount | None, *, on: date) -> Person:
    """Publishes the whole payee under the next version; the person to save."""
    event_id = new_id()
    told = payee_of(vault, person, recorded, on=on, place=lambda field: (event_id, field))
    tx.publish(told, event_id=event_id)
    return replace(person, payee_version=told.version, cannot_act_told=told.cannot_act)


def payee_of(vault: Vault, person: Person, recorded: RecordedAccount | None, *, on: date, place: Place) -> PayeeChanged:
    """The payee under the next version, its texts sealed for their places. No card is no account."""
    account: PayeeAccount | None = None
    if recorded is not None and recorded.account.number is not None and recorded.account.status != "none":
        given = recorded.account
        assert given.number is not None
        assert given.holder_name is not None
        assert given.bank is not None
        account = PayeeAccount(
            holder=_holder(recorded),
            holder_name=vault.sealer.seal(given.holder_name, *place("account.holder_name")),
            bank=given.bank,
            number=vault.sealer.seal(given.number, *place("account.number")),
            number_last4=given.number[-4:],
            status=given.status,
            reason=given.reason,
            number_token=vault.persons.token("account", given.number),
            org_code=recorded.institution,
        )
    return PayeeChanged(
        person_id=person.person_id,
        version=person.payee_version + 1,
        area=person.area,
        person_name=vault.sealer.seal(person.name, *place("person_name")),
        certificate_number=vault.seal(person.certificate_number(on), *place("certificate_number")),
        phone=vault.seal(person.phone, *place("phone")),
        account=account,
        cannot_act=person.cannot_act(on),
        guardian_in_question=person.guardian_in_question,
        effective_on=recorded.effective_on if recorded is not None else on,
    )


def tell_contact(tx: Transaction, vault: Vault, person: Person, recorded: RecordedGuardian | None = None) -> Person:
    """Publishes how the person and the guardian in force are reached, under the next version; the person to save."""
    event_id = new_id()
    told = contact_of(vault, person, recorded, place=lambda field: (event_id, field))
    tx.publish(told, event_id=event_id)
    return replace(person, contact_version=told.version)


def contact_of(vault: Vault, person: Person, recorded: RecordedGuardian | None, *, place: Place) -> ContactChanged:
    """How they are reached, under the next version, texts sealed for their places."""
    return ContactChanged(
        person_id=person.person_id,
        version=person.contact_version + 1,
        area=person.area,
        name=vault.sealer.seal(person.name, *place("name")),
        phone=vault.seal(person.phone, *place("phone")),
        phone_token=person.phone and vault.persons.token("phone", person.phone),
        guardian_phone=vault.seal(recorded.guardian.phone, *place("guardian_phone")) if recorded else None,
    )


def _holder(recorded: RecordedAccount) -> Any:
    return "institution" if recorded.institution else recorded.account.holder


def person_in(vault: Vault, row: RowMapping | Mapping[str, Any]) -> Person:
    """The person in a row of the table, or in the same as JSON. PersonMerged when it goes on under another id."""
    if row["merged_into"] is not None:
        raise PersonMerged(f"it is {row['merged_into']} now", person_id=row["merged_into"])
    adult_on, phone_given_at = row["adult_on"], row["phone_given_at"]
    name, id_number, phone = _identity_in(vault, row)
    return Person(
        person_id=row["person_id"],
        area=row["area"],
        name=name,
        id_number=id_number,
        phone=phone,
        phone_given_at=datetime.fromisoformat(phone_given_at) if isinstance(phone_given_at, str) else phone_given_at,
        adult_on=date.fromisoformat(adult_on) if isinstance(adult_on, str) else adult_on,
        certificate=row["certificate"] and CertificateClaim.model_validate(row["certificate"]),
        incapacity=row["incapacity"] and Incapacity.model_validate(row["incapacity"]),
        payee_version=row["payee_version"],
        contact_version=row["contact_version"],
        cannot_act_told=row["cannot_act_told"],
        guardian_in_question=row["guardian_in_question"],
    )

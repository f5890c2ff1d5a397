"""How persons are reached and where their money goes. Whoever changes either is told at the phone of before, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select, update

from libs.common.database import Transaction, among, replacing, rows
from libs.common.events.intake import ContactChanged, PayeeChanged, contact_place
from libs.common.papers.printing import day_text
from libs.common.period import business_date
from libs.common.privacy import Sealer
from libs.common.projection import Received
from services.notification.composing import Draft, cause_of, compose, survivors_of
from services.notification.handlers.facts import note_listed_certificates
from services.notification.parameters import load_parameters
from services.notification.tables import contacts, payees


async def note_taken_over(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Who is taken over from a roster applied elsewhere, and was told there: what is kept of them, and no message."""
    await _keep_contacts(tx, _each(received, "contact"), sealer, _contact_row)
    await note_payees(tx, _each(received, "payee"), sealer)
    await note_listed_certificates(tx, [recipient for item in received for recipient in item.data.recipients])


def _each(received: Sequence[Received], part: str) -> list[Received]:
    return [item._replace(data=getattr(told, part)) for item in received for told in item.data.recipients]


async def note_contacts(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Keeps how people are reached, and tells a phone that it is no longer used, in case somebody else changed it."""
    await _keep_contacts(tx, received, sealer, partial(_resealed, sealer))


async def _keep_contacts(
    tx: Transaction, received: Sequence[Received], sealer: Sealer, row_of: Callable[[Received], dict[str, Any]]
) -> None:
    standing = await _standing(tx, received)
    person_ids = {item.data.person_id for item in standing}
    known = {
        row["person_id"]: row
        for row in rows(await tx.connection.execute(select(contacts).where(among(contacts.c.person_id, person_ids))))
    }
    parameters = await load_parameters(tx)
    changed: dict[str, dict[str, Any]] = {}
    drafts: list[Draft] = []
    for item in standing:
        data, before = item.data, known.get(item.data.person_id)
        if before is not None and before["version"] >= data.version:
            continue
        row = row_of(item)
        old_phone = _open(sealer, before, "phone") if before else None
        if before is not None and old_phone is not None and old_phone != _open(sealer, row, "phone"):
            days = parameters.number("phone.remembered", data.area, business_date(item.envelope.time))
            row["old_phone"] = sealer.seal(old_phone, "contacts", data.person_id, "old_phone")
            row["old_phone_until"] = business_date(item.envelope.time) + timedelta(days=days)
            drafts.append(Draft("contact_changed", cause_of(item), data.person_id, data.area, phone=old_phone))
        elif before is not None:
            row |= {name: before[name] for name in ("old_phone", "old_phone_until")}
        known[data.person_id] = changed[data.person_id] = row
    await tx.fill(_CONTACTS, list(changed.values()))
    await compose(tx, drafts, sealer)


async def _standing(tx: Transaction, received: Sequence[Received]) -> list[Received]:
    """What was told, by its version, its persons locked. Of ids that were merged into others nothing is kept: all that
    holds is told under the one that stays."""
    person_ids = {item.data.person_id for item in received}
    await tx.lock(*person_ids)
    merged = await survivors_of(tx, person_ids)
    return sorted((item for item in received if item.data.person_id not in merged), key=lambda item: item.data.version)


def _contact_row(item: Received) -> dict[str, Any]:
    """The row of a contact, its texts sealed as they came."""
    data: ContactChanged = item.data
    return {
        "person_id": data.person_id,
        "version": data.version,
        "area": data.area,
        "phone": data.phone,
        "phone_token": data.phone_token,
        "name": data.name,
        "guardian_phone": data.guardian_phone,
        "old_phone": None,
        "old_phone_until": None,
    }


def _resealed(sealer: Sealer, item: Received) -> dict[str, Any]:
    """The row of a contact, the event's texts sealed anew for their place."""
    row = _contact_row(item)
    for column in ("phone", "name", "guardian_phone"):
        if (sealed := row[column]) is not None:
            row[column] = sealer.seal(
                sealer.open(sealed, item.event_id, column), *contact_place(row["person_id"], column)
            )
    return row


def _open(sealer: Sealer, row: dict[str, Any], field: str) -> str | None:
    return sealer.open(row[field], "contacts", row["person_id"], field) if row[field] else None


async def note_payees(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Tells of another account, also to a phone that was replaced not long ago (domain: notice to the old phone)."""
    standing = await _standing(tx, received)
    person_ids = {item.data.person_id for item in standing}
    known = {
        row.person_id: (row.version, row.number_token)
        for row in await tx.connection.execute(select(payees).where(among(payees.c.person_id, person_ids)))
    }
    reached = {
        row["person_id"]: row
        for row in rows(await tx.connection.execute(select(contacts).where(among(contacts.c.person_id, person_ids))))
    }
    drafts: list[Draft] = []
    for item in standing:
        data: PayeeChanged = item.data
        token = data.account.number_token if data.account else None
        version, before = known.get(data.person_id, (0, None))
        if version >= data.version:
            continue
        known[data.person_id] = (data.version, token)
        if version == 0 or before == token:
            continue
        drafts.append(_payee_draft(item, cause_of(item), None))
        contact = reached.get(data.person_id)
        if contact is not None and contact["old_phone"] and contact["old_phone_until"] >= business_date(tx.now):
            drafts.append(_payee_draft(item, f"{cause_of(item)}:old phone", _open(sealer, contact, "old_phone")))
    told = [
        {"person_id": person_id, "version": version, "number_token": token}
        for person_id, (version, token) in known.items()
    ]
    await tx.fill(_PAYEES, told)
    await compose(tx, drafts, sealer)


_CONTACTS = replacing(contacts)
_PAYEES = replacing(payees)


def _payee_draft(item: Received, cause: str, phone: str | None) -> Draft:
    data: PayeeChanged = item.data
    account = f"尾号{data.account.number_last4}的账户" if data.account else "待登记（原账户不再使用）"
    values = {"account": account, "effective_on": day_text(data.effective_on)}
    return Draft("payee_changed", cause, data.person_id, data.area, values, phone=phone)


async def forget_old_phones(tx: Transaction, as_of: date) -> int:
    """Daily: a replaced phone is remembered for a while only."""
    forgotten = await tx.connection.execute(
        update(contacts)
        .where(contacts.c.old_phone_until < as_of)
        .values(old_phone=None, old_phone_until=None)
        .returning(contacts.c.person_id)
    )
    return len(forgotten.all())

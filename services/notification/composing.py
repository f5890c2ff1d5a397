"""Messages come to be: a text in force, filled for one case, at most once per cause and kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert

from libs.common.database import Transaction, among, new_id
from libs.common.parameters import Parameters
from libs.common.period import business_date
from libs.common.privacy import Sealer
from libs.common.projection import Received
from services.notification import texts
from services.notification.parameters import load_parameters
from services.notification.tables import contacts, merged_persons, messages, templates
from services.notification.texts import Kind, Template

_BEAT_S = 10


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be. `cause` is what it is about, for ever; `phone` only where the person's contact is not meant."""

    kind: Kind
    cause: str
    person_id: str
    area: str
    values: Mapping[str, str] = field(default_factory=dict)
    subject_id: UUID | None = None
    phone: str | None = None


def cause_of(item: Received) -> str:
    """The state that is told: the same one stays the same when its service publishes it again."""
    return f"{item.data.aggregate}:v{item.data.aggregate_version}"


async def survivors_of(tx: Transaction, person_ids: Collection[str]) -> dict[str, str]:
    """Those of the ids that were merged, with the id under which each goes now."""
    merged = select(merged_persons).where(among(merged_persons.c.person_id, person_ids))
    return {row.person_id: row.into_person_id for row in await tx.connection.execute(merged)}


async def compose(tx: Transaction, drafts: Sequence[Draft], sealer: Sealer) -> int:
    """Makes the messages that were not made before; how many. They are sent once this transaction is committed."""
    if not drafts:
        return 0
    written = await read_templates(tx, {draft.kind for draft in drafts})
    person_ids = {draft.person_id for draft in drafts}
    survivors = await survivors_of(tx, person_ids)
    tokens = await _shared_phones(tx, person_ids | set(survivors.values()))
    parameters = await load_parameters(tx)
    values = []
    for draft in drafts:
        person_id = survivors.get(draft.person_id, draft.person_id)
        token = None if draft.phone else tokens.get(person_id)
        values.append(_row(tx, draft, written, parameters, sealer) | _place_and_time(tx, person_id, token))
    made = await tx.connection.execute(
        insert(messages)
        .values(values)
        .on_conflict_do_nothing(constraint="one_message_per_cause")
        .returning(messages.c.message_id)
    )
    return len(made.all())


async def _shared_phones(tx: Transaction, person_ids: Collection[str]) -> dict[str, str]:
    """Whose phone serves others as well."""
    other = contacts.alias()
    shared = exists().where(other.c.phone_token == contacts.c.phone_token, other.c.person_id != contacts.c.person_id)
    found = await tx.connection.execute(
        select(contacts.c.person_id, contacts.c.phone_token).where(among(contacts.c.person_id, person_ids), shared)
    )
    return {row.person_id: row.phone_token for row in found}


def _place_and_time(tx: Transaction, person_id: str, phone_token: str | None) -> dict[str, Any]:
    """A text to a shared phone leaves on the next beat of the clock, with what else has come for it by then."""
    if phone_token is None:
        return {"person_id": person_id, "phone_token": None, "next_try_at": tx.now}
    beat = (int(tx.now.timestamp() / _BEAT_S) + 1) * _BEAT_S
    return {"person_id": person_id, "phone_token": phone_token, "next_try_at": datetime.fromtimestamp(beat, UTC)}


def _row(
    tx: Transaction, draft: Draft, written: Sequence[Template], parameters: Parameters, sealer: Sealer
) -> dict[str, Any]:
    template = texts.in_force(draft.kind, draft.area, written)
    message_id = new_id()
    return {
        "message_id": message_id,
        "kind": draft.kind,
        "cause": draft.cause,
        "area": draft.area,
        "subject_id": draft.subject_id,
        "text": texts.render(template, draft.values, remedy_of(parameters, draft.area, business_date(tx.now))),
        "template_area": template.area,
        "template_version": template.version,
        "phone": sealer.seal(draft.phone, "messages", message_id, "phone") if draft.phone else None,
        "created_at": tx.now,
    }


def remedy_of(parameters: Parameters, area: str, on: date) -> str:
    """How to object, and until when."""
    days = parameters.number("remedy.reconsideration", area, on)
    months = parameters.number("remedy.litigation", area, on)
    return texts.remedy(days, months)


async def read_templates(tx: Transaction, kinds: Collection[str]) -> list[Template]:
    """Every version that an area wrote of these kinds."""
    found = await tx.connection.execute(
        select(templates.c.kind, templates.c.area, templates.c.version, templates.c.text).where(
            templates.c.kind.in_(kinds)
        )
    )
    return [Template(*row) for row in found]

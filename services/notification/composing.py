"""Messages come to be: a text in force, filled for one case, at most once per cause and kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from libs.common.database import Transaction, new_id
from libs.common.privacy import Sealer
from services.notification import texts
from services.notification.tables import messages, templates
from services.notification.texts import Kind, Template


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


async def compose(tx: Transaction, drafts: Sequence[Draft], sealer: Sealer) -> int:
    """Makes the messages that were not made before; how many. They are sent once this transaction is committed."""
    if not drafts:
        return 0
    written = await read_templates(tx, {draft.kind for draft in drafts})
    made = await tx.connection.execute(
        insert(messages)
        .values([_row(tx, draft, written, sealer) for draft in drafts])
        .on_conflict_do_nothing(constraint="one_message_per_cause")
        .returning(messages.c.message_id)
    )
    return len(made.all())


def _row(tx: Transaction, draft: Draft, written: Sequence[Template], sealer: Sealer) -> dict[str, Any]:
    template = texts.in_force(draft.kind, draft.area, written)
    message_id = new_id()
    return {
        "message_id": message_id,
        "kind": draft.kind,
        "cause": draft.cause,
        "person_id": draft.person_id,
        "area": draft.area,
        "subject_id": draft.subject_id,
        "text": texts.render(template, draft.values),
        "template_area": template.area,
        "template_version": template.version,
        "phone": sealer.seal(draft.phone, "messages", message_id, "phone") if draft.phone else None,
        "next_try_at": tx.now,
        "created_at": tx.now,
    }


async def read_templates(tx: Transaction, kinds: Collection[str]) -> list[Template]:
    """Every version that an area wrote of these kinds."""
    found = await tx.connection.execute(
        select(templates.c.kind, templates.c.area, templates.c.version, templates.c.text).where(
            templates.c.kind.in_(kinds)
        )
    )
    return [Template(*row) for row in found]

"""Who did what to whom, when and why: written in the transaction of the deed, and never changed."""

from __future__ import annotations

from typing import Any

import structlog
from pydantic_core import to_json

from libs.common.auth import Principal
from libs.common.database import Transaction


async def record(
    tx: Transaction,
    principal: Principal,
    action: str,
    subject: str,
    *,
    person_id: str | None = None,
    reason: str | None = None,
    **detail: Any,
) -> None:
    """Appends an entry. `action` is a verb with its noun (`approve application`), `subject` the object's id.

    `detail` must hold no personal data: ids, codes, amounts, dates.
    """
    tx.note_deed(
        {
            "sub": principal.sub,
            "role": principal.role,
            "area": principal.area,
            "action": action,
            "object": subject,
            "person_id": person_id,
            "reason": reason,
            "detail": to_json(detail, fallback=str).decode(),
            "request_id": structlog.contextvars.get_contextvars().get("request_id"),
        }
    )

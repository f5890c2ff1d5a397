"""Matching's part of a person's story."""

from __future__ import annotations

from typing import Any

from libs.common.auth import Official
from libs.common.web import Tx, router
from services.matching.handlers import persons as handlers

api = router(prefix="/v1/persons", tags=["persons"])


@api.get("/{person_id}/timeline")
async def read_timeline(person_id: str, tx: Tx, reader: Official) -> dict[str, Any]:
    """Facts and findings, newest first."""
    return {"items": await handlers.read_timeline(tx, person_id, reader), "next_cursor": None}

"""Locks of submission after the database was set back, over REST."""

from __future__ import annotations

from typing import Any

from fastapi import status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Admin, Official
from libs.common.database import rows
from libs.common.web import Page, Tx, router
from services.disbursement.handlers.locks import lock_submission

api = router(prefix="/v1/restore-locks", tags=["restore"])


class NewLock(BaseModel):
    model_config = ConfigDict(extra="forbid")

    because: str = Field(min_length=1, max_length=500, description="e.g. the backup that was restored, and when")


@api.post("", status_code=status.HTTP_201_CREATED)
async def lock(body: NewLock, tx: Tx, admin: Admin) -> dict[str, Any]:
    """Stops submission and sending until the books were compared with the bank's, which begins at once. Nobody lifts
    it by hand: it is released when they agree."""
    lock_id = await lock_submission(tx, because=body.because, by=admin.sub)
    await audit.record(tx, admin, "lock submission", str(lock_id), reason=body.because)
    return {"lock_id": lock_id, "status": "locked"}


@api.get("")
async def list_locks(tx: Tx, reader: Official) -> Page:
    """Newest first. One that stays waits for the bank, or for the cases `paid_before_restore` to be resolved."""
    found = await tx.connection.execute(text("SELECT * FROM restore_locks ORDER BY locked_at DESC LIMIT 100"))
    return Page(items=list(rows(found)))

"""Batches that the bank refused, over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from libs.common.auth import Finance, authenticate
from libs.common.clock import business_today
from libs.common.database import Database
from libs.common.errors import Unavailable
from services.disbursement.bank import OutcomeUnknown
from services.disbursement.handlers.recalls import recall_batch

bank_side = APIRouter(prefix="/v1/batches", tags=["one-card platform"])
"""Asks the bank, so it has no transaction around it."""


class Recall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=1000, description="why the bank refused it, and what was mended")


def _token(request: Request) -> None:
    authenticate(request)


@bank_side.post("/{batch_id}/recall", dependencies=[Depends(_token)])
async def recall(batch_id: UUID, body: Recall, request: Request, finance: Finance) -> dict[str, Any]:
    """Takes a refused batch back: its payments are judged and sent anew. Has the bank all of it, it counts as accepted;
    has it a part, 409."""
    database: Database = request.app.state.database
    try:
        state = await recall_batch(
            database, request.app.state.bank, finance, batch_id, reason=body.reason, on=business_today()
        )
    except OutcomeUnknown as error:
        raise Unavailable("the bank does not answer; nothing was changed") from error
    return {"batch_id": batch_id, "status": state}

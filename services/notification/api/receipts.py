"""Receipts of the SMS platform, signed per Standard Webhooks."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import structlog
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.errors import InvalidInput
from libs.common.web import Tx, router
from libs.common.webhooks import verified
from services.notification.outcomes import deliver_texts, turn_into_letters

log = structlog.get_logger(__name__)

api = router(tags=["SMS platform"])


class TextReceipt(BaseModel):
    """What became of one text."""

    model_config = ConfigDict(extra="ignore")

    message_id: UUID
    status: Literal["delivered", "failed"]
    reason: str | None = Field(default=None, max_length=200)


class _Receipts(BaseModel):
    receipts: list[dict[str, Any]] = Field(max_length=1000)


class TextReceipts(BaseModel):
    type: Literal["sms.receipts"]
    data: _Receipts


@api.post("/webhooks/sms")
async def receive(request: Request, tx: Tx) -> dict[str, int]:
    """401: bad signature, or more than 5 minutes old or early. A receipt that lacks a field is left out: that text is
    asked about. Repeats, receipts in any order and of texts that are not ours change nothing."""
    body = await request.body()
    verified(request.app.state.settings.sms_webhook_secrets, request.headers, body)
    try:
        told = TextReceipts.model_validate_json(body).data.receipts
    except ValidationError as error:
        raise InvalidInput(f"not a bundle of receipts: {error.error_count()} problems") from error
    receipts = [receipt for receipt in map(_readable, told) if receipt is not None]
    delivered = await deliver_texts(tx, [r.message_id for r in receipts if r.status == "delivered"])
    failed = {r.message_id: r.reason or "failed" for r in receipts if r.status == "failed"}
    return {
        "delivered": delivered,
        "failed": await turn_into_letters(tx, failed),
        "unreadable": len(told) - len(receipts),
    }


def _readable(told: dict[str, Any]) -> TextReceipt | None:
    try:
        return TextReceipt.model_validate(told)
    except ValidationError as error:
        log.warning("receipt_unreadable", fields=[".".join(map(str, problem["loc"])) for problem in error.errors()])
        return None

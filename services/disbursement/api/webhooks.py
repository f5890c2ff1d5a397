"""Webhooks from the one-card platform, signed per Standard Webhooks."""

from __future__ import annotations

import binascii
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import Request, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError

from libs.common.clock import business_today
from libs.common.database import Transaction
from libs.common.errors import InvalidInput
from libs.common.vocabulary import ReturnCode
from libs.common.web import Tx, router
from services.disbursement.errors import BadSignature
from services.disbursement.handlers.results import BankResult, note_sms, note_unknown_payment, record_result

api = router(tags=["one-card platform"])


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    payment_id: str = Field(min_length=1, max_length=100)

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: Any) -> Any:
        """Standard Webhooks wraps the fields in `data`."""
        return {**value, **value["data"]} if isinstance(value, dict) and isinstance(value.get("data"), dict) else value


class Settled(_Event):
    type: Literal["payment.settled"]
    settled_on: date
    bank_ref: str = Field(min_length=1, max_length=100)


class Failed(_Event):
    type: Literal["payment.failed"]
    code: ReturnCode
    detail: str = Field(default="", max_length=500)


class Returned(_Event):
    type: Literal["payment.returned"]
    code: ReturnCode
    returned_on: date


class SmsSent(_Event):
    type: Literal["sms.sent"]
    text: str = Field(max_length=1000)
    sent_at: datetime


_ANY: TypeAdapter[Settled | Failed | Returned | SmsSent] = TypeAdapter(Settled | Failed | Returned | SmsSent)


@api.post("/webhooks/onecard")
async def receive(request: Request, tx: Tx) -> JSONResponse:
    """401: bad signature, or more than 5 minutes old or early. 202: an unknown payment, and a case. 200: taken in, or
    taken in before."""
    body = await request.body()
    webhook_id = _verified(request, body)
    try:
        event = _ANY.validate_json(body)
    except ValidationError as error:
        raise InvalidInput(f"not an event of the platform: {error.error_count()} problems") from error
    if not await _is_new(tx, webhook_id, event.type):
        return JSONResponse({"status": "known"})
    if not await _take_in(tx, event):
        await note_unknown_payment(tx, event.payment_id, event.type)
        return JSONResponse({"status": "unknown payment"}, status.HTTP_202_ACCEPTED)
    return JSONResponse({"status": "taken in"})


def _verified(request: Request, body: bytes) -> str:
    """The delivery's id. `BadSignature`, whatever is wrong with it: a forger learns nothing."""
    secrets: str = request.app.state.settings.onecard_webhook_secrets
    for secret in filter(None, secrets.split(",")):
        try:
            Webhook(secret).verify(body, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError, binascii.Error):
            continue
        return request.headers["webhook-id"]
    raise BadSignature


async def _is_new(tx: Transaction, webhook_id: str, event_type: str) -> bool:
    marked = await tx.connection.execute(
        text(
            "INSERT INTO webhook_deliveries (webhook_id, type) VALUES (:id, :type) ON CONFLICT DO NOTHING"
            " RETURNING true"
        ),
        {"id": webhook_id, "type": event_type},
    )
    return marked.scalar_one_or_none() is not None


async def _take_in(tx: Transaction, event: Settled | Failed | Returned | SmsSent) -> bool:
    try:
        payment_id = UUID(event.payment_id)
    except ValueError:
        return False
    match event:
        case Settled():
            told = BankResult(payment_id, "settled", event.settled_on, bank_ref=event.bank_ref)
        case Failed():
            told = BankResult(payment_id, "failed", business_today(), code=event.code)
        case Returned():
            told = BankResult(payment_id, "returned", event.returned_on, code=event.code)
        case SmsSent():
            return await note_sms(tx, payment_id, content=event.text, sent_at=event.sent_at)
    return await record_result(tx, told)

"""Webhooks from the one-card platform, signed per Standard Webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from libs.common.clock import business_today
from libs.common.database import is_transient
from libs.common.errors import InvalidInput, Unavailable
from libs.common.period import SHANGHAI, DutyDay
from libs.common.vocabulary import ReturnCode
from libs.common.webhooks import verified
from services.disbursement.handlers.deliveries import Delivery, Door
from services.disbursement.handlers.receipts import Sms
from services.disbursement.handlers.results import BankResult

# Its requests share transactions (`Door`); it has no principal: the signature says who speaks.
api = APIRouter(tags=["one-card platform"])

_NO_NUL = r"^[^\x00]*$"
"""What PostgreSQL can store as text."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    payment_id: str = Field(min_length=1, max_length=100, pattern=_NO_NUL)

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: Any) -> Any:
        """Standard Webhooks wraps the fields in `data`."""
        return {**value, **value["data"]} if isinstance(value, dict) and isinstance(value.get("data"), dict) else value


class Settled(_Event):
    type: Literal["payment.settled"]
    settled_on: DutyDay
    bank_ref: str = Field(min_length=1, max_length=100, pattern=_NO_NUL)


class Failed(_Event):
    type: Literal["payment.failed"]
    code: ReturnCode
    detail: str = Field(default="", max_length=500)


class Returned(_Event):
    type: Literal["payment.returned"]
    code: ReturnCode
    returned_on: DutyDay


class SmsSent(_Event):
    type: Literal["sms.sent"]
    text: str = Field(max_length=1000, pattern=_NO_NUL)
    sent_at: datetime

    @field_validator("sent_at")
    @classmethod
    def _in_china(cls, value: datetime) -> datetime:
        """A moment without a zone is the bank's own time."""
        return value if value.tzinfo else value.replace(tzinfo=SHANGHAI)


_ANY: TypeAdapter[Settled | Failed | Returned | SmsSent] = TypeAdapter(Settled | Failed | Returned | SmsSent)


@api.post("/webhooks/onecard")
async def receive(request: Request) -> JSONResponse:
    """401: bad signature, or more than 5 minutes old or early. 202: an unknown payment, and a case. 200: taken in, or
    taken in before."""
    body = await request.body()
    webhook_id = verified(request.app.state.settings.onecard_webhook_secrets, request.headers, body)
    try:
        event = _ANY.validate_json(body)
    except ValidationError as error:
        raise InvalidInput(f"not an event of the platform: {error.error_count()} problems") from error
    door: Door = request.app.state.door
    try:
        answer = await door.take_in(
            Delivery(webhook_id, event.type, event.payment_id, _told(event, f"webhook {webhook_id}"))
        )
    except Exception as error:
        if not is_transient(error):
            raise
        raise Unavailable("the database is not reachable or busy; try again") from error
    accepted = status.HTTP_202_ACCEPTED if answer == "unknown payment" else status.HTTP_200_OK
    return JSONResponse({"status": answer}, accepted)


def _told(event: Settled | Failed | Returned | SmsSent, told_by: str) -> BankResult | Sms | None:
    try:
        payment_id = UUID(event.payment_id)
    except ValueError:
        return None
    match event:
        case Settled():
            return BankResult(payment_id, "settled", event.settled_on, bank_ref=event.bank_ref, told_by=told_by)
        case Failed():
            return BankResult(payment_id, "failed", business_today(), code=event.code, told_by=told_by)
        case Returned():
            return BankResult(payment_id, "returned", event.returned_on, code=event.code, told_by=told_by)
        case SmsSent():
            return Sms(payment_id, event.text, event.sent_at)

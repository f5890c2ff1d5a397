"""The SMS platform's REST side, `/sms/v1`. Sending and asking take a bearer key; the test endpoints take none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from random import Random
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response, status

from libs.common.clock import utc_now
from services.onecard_mock.api import stay_silent, suffer
from services.onecard_mock.texts import TextFaults, TextOrder, Texts

_DICE = Random()  # noqa: S311 (faults, not secrets)


def _texts_of(request: Request) -> Texts:
    texts: Texts = request.app.state.texts
    return texts


TextsOf = Annotated[Texts, Depends(_texts_of)]


def _require_key(request: Request) -> None:
    expected = f"Bearer {request.app.state.sms_key}"
    if not secrets.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED)


async def _suffer_faults(texts: TextsOf) -> TextFaults:
    faults = await texts.faults()
    await suffer(faults)
    return faults


FaultsSuffered = Annotated[TextFaults, Depends(_suffer_faults)]

platform_side = APIRouter(prefix="/sms/v1", tags=["SMS platform"], dependencies=[Depends(_require_key)])
platform_test_side = APIRouter(prefix="/sms/v1", tags=["SMS platform: test endpoints"])


@platform_side.post("/messages", status_code=status.HTTP_202_ACCEPTED)
async def accept_text(order: TextOrder, texts: TextsOf, faults: FaultsSuffered, request: Request) -> Mapping[str, Any]:
    """Accepts a text under the sender's own id; the same id again is the same text. 422: a number it does not take."""
    if order.phone in faults.refuse_phones:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, "the number is on the refusal list")
    accepted = await texts.accept(order, utc_now(), faults)
    request.app.state.wake.set()
    if _DICE.random() < faults.timeout_after_accept_rate:
        await stay_silent(request)
    return accepted


@platform_side.get("/messages/{message_id}", dependencies=[Depends(_suffer_faults)])
async def tell_text(message_id: str, texts: TextsOf) -> Mapping[str, Any]:
    """What became of a text: accepted, delivered or failed."""
    found = await texts.find(message_id)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such message")
    return found


@platform_test_side.get("/texts")
async def list_texts(texts: TextsOf, phone: str | None = None, message_id: str | None = None) -> dict[str, Any]:
    """Every text accepted, oldest first."""
    return {"items": await texts.listed(phone, message_id), "next_cursor": None}


@platform_test_side.post("/faults")
async def set_faults(faults: TextFaults, texts: TextsOf) -> TextFaults:
    """These faults from now on, and no others."""
    await texts.set_faults(faults)
    return faults


@platform_test_side.delete("/faults", status_code=status.HTTP_204_NO_CONTENT)
async def clear_faults(texts: TextsOf) -> Response:
    await texts.set_faults(TextFaults())
    return Response(status_code=status.HTTP_204_NO_CONTENT)

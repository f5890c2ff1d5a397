"""The SMS provider, an outside party: it accepts a text under our message id and tells later what became of it.

POST {url}/messages {message_id, phone, text}   → 2xx {status, reason?}; the same message_id is the same message
GET  {url}/messages/{message_id}                → 200 {status, reason?}; status: accepted, delivered or failed
It also tells by itself, signed (Standard Webhooks), to `POST /webhooks/sms`: see `api/receipts.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

import httpx


class NoAnswer(Exception):
    """The provider did not answer, or not in a way that says what became of the message: it must be asked again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider says of a message; `reason` only where it failed. `unknown`: it has no such message."""

    status: Literal["accepted", "delivered", "failed", "unknown"]
    reason: str | None = None


class SmsProvider(Protocol):
    """Both calls may raise `NoAnswer`; sending again under the same id never sends twice."""

    async def send(self, message_id: UUID, phone: str, text: str) -> Receipt: ...

    async def ask(self, message_id: UUID) -> Receipt: ...


class HttpSmsProvider:
    """The provider behind `LIANGBU_SMS_URL`."""

    def __init__(self, http: httpx.AsyncClient, url: str, key: str) -> None:
        self._http = http
        self._url = url.rstrip("/") + "/messages"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def send(self, message_id: UUID, phone: str, text: str) -> Receipt:
        body = {"message_id": str(message_id), "phone": phone, "text": text}
        headers = {**self._headers, "Idempotency-Key": str(message_id)}
        return await self._receipt("POST", self._url, json=body, headers=headers)

    async def ask(self, message_id: UUID) -> Receipt:
        return await self._receipt("GET", f"{self._url}/{message_id}", headers=self._headers)

    async def _receipt(self, method: str, url: str, **request: Any) -> Receipt:
        try:
            answer = await self._http.request(method, url, **request)
        except httpx.TransportError as error:
            raise NoAnswer(type(error).__name__) from error
        if method == "POST" and answer.status_code in (400, 404, 409, 422):
            return Receipt("failed", f"refused by the provider ({answer.status_code})")
        if method == "GET" and answer.status_code == 404:
            return Receipt("unknown")
        if not answer.is_success:
            raise NoAnswer(f"HTTP {answer.status_code}")
        try:
            told = answer.json()
            status, reason = told["status"], told.get("reason")
        except (ValueError, KeyError, TypeError) as error:
            raise NoAnswer("an answer that cannot be read") from error
        if status not in ("accepted", "delivered", "failed"):
            raise NoAnswer(f"unknown status {status!r}"[:100])
        return Receipt(status, str(reason)[:200] if reason else ("failed" if status == "failed" else None))

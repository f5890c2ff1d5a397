"""Webhooks out (Standard Webhooks): signed, tried again until the receiver answers 2xx."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random

import httpx
from standardwebhooks import Webhook

from libs.common.clock import utc_now
from services.onecard_mock.books import Books
from services.onecard_mock.outcomes import Faults

_AT_ONCE = 20
_LONGEST_PAUSE_S = 30.0


class Deliveries:
    """Sends what is due to one receiver (`onecard`, `sms`), a few at a time."""

    def __init__(self, books: Books, receiver: str, *, url: str, secret: str, timeout_s: float = 10.0) -> None:
        self._books = books
        self.receiver = receiver
        self._url = url
        self._signer = Webhook(secret)
        self._client = httpx.AsyncClient(timeout=timeout_s)
        self._dice = Random()  # noqa: S311 (faults, not secrets)

    async def deliver_due(self, faults: Faults) -> int:
        """One round; how many were tried."""
        due = await self._books.webhooks_due(utc_now(), self.receiver, _AT_ONCE)
        if faults.reorder:
            self._dice.shuffle(due)
        await asyncio.gather(*(self._deliver(*item, faults) for item in due))
        return len(due)

    async def close(self) -> None:
        await self._client.aclose()

    async def _deliver(self, webhook_id: str, body: str, attempts: int, faults: Faults) -> None:
        if self._dice.random() < faults.drop_webhook_rate:
            await self._books.webhook_failed(webhook_id, None)
            return
        delivered = await self._post(webhook_id, body)
        if delivered and self._dice.random() < faults.duplicate_webhook_rate:
            await self._post(webhook_id, body)
        if delivered:
            await self._books.webhook_done(webhook_id, utc_now())
        else:
            pause_s = min(0.5 * 2**attempts, _LONGEST_PAUSE_S) * self._dice.uniform(0.5, 1.0)
            await self._books.webhook_failed(webhook_id, utc_now() + timedelta(seconds=pause_s))

    async def _post(self, webhook_id: str, body: str) -> bool:
        now = utc_now()
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(webhook_id, now, body),
        }
        try:
            response = await self._client.post(self._url, content=body.encode(), headers=headers)
        except httpx.TransportError:
            return False
        return response.is_success

"""The national system's intake of statistics (全国残疾人两项补贴信息系统; notice 4.2), seen from here."""

from __future__ import annotations

import ssl
from typing import Any, Protocol

import httpx
import stamina
from pydantic import BaseModel, Field


class Receipt(BaseModel):
    """What the national system answers to a table that it keeps."""

    receipt_no: str = Field(min_length=1, max_length=100)


class NotReceived(Exception):
    """The national system did not take the table, or did not answer."""


class StatisticsReceiver(Protocol):
    async def upload(self, digest: str, table: dict[str, Any]) -> Receipt:
        """Hands a table over; the same digest again is the same receipt. Raises `NotReceived`."""


class NationalSystem:
    """The receiver over REST; `digest` is the idempotency key."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()

    async def upload(self, digest: str, table: dict[str, Any]) -> Receipt:
        try:
            async for attempt in stamina.retry_context(
                on=httpx.TransportError, attempts=3, wait_initial=0.1, wait_max=1.0, timeout=None
            ):
                with attempt:
                    async with httpx.AsyncClient(timeout=self._timeout_s, verify=self._tls) as client:
                        response = await client.post(
                            f"{self._url}/v1/statistics", json=table, headers={"Idempotency-Key": digest}
                        )
        except httpx.TransportError as error:
            raise NotReceived(str(error) or type(error).__name__) from error
        if not response.is_success:
            raise NotReceived(f"it answered {response.status_code}")
        return Receipt.model_validate_json(response.content)

"""The national system's intake of documents (全国残疾人两项补贴信息系统, notice 5.1), seen from here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import httpx

NATIONAL_TIMEOUT_S = 60.0


class NationalRefusal(Exception):
    """The national system does not take this document, now or later."""


@dataclass(frozen=True, slots=True)
class NationalDocument:
    """What travels with a document's content. No name, no ID number: the receiver knows the application."""

    document_id: UUID
    application_id: UUID
    kind: str
    area: str
    sha256: str
    size: int
    media_type: str


class NationalArchive(Protocol):
    """Takes documents, each once by its `document_id`."""

    async def upload(self, document: NationalDocument, content: Iterable[bytes]) -> str:
        """The receipt's number. NationalRefusal; httpx.HTTPError when the outcome is unknown: send it again."""
        ...


class HttpNationalArchive:
    """The adapter over HTTP: `PUT {url}/documents/{document_id}` with the content as it is, answered by a receipt."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._client = client

    async def upload(self, document: NationalDocument, content: Iterable[bytes]) -> str:
        headers = {
            "content-type": document.media_type,
            "content-length": str(document.size),
            "idempotency-key": str(document.document_id),
            "x-application-id": str(document.application_id),
            "x-kind": document.kind,
            "x-area": document.area,
            "x-sha256": document.sha256,
        }
        url = f"{self._url}/documents/{document.document_id}"
        answer = await self._client.put(url, content=_streamed(content), headers=headers)
        if answer.is_client_error and answer.status_code not in (408, 409, 429):
            raise NationalRefusal(f"answered {answer.status_code}")
        answer.raise_for_status()
        try:
            return str(answer.json()["receipt_no"])
        except (ValueError, KeyError, TypeError) as error:
            raise httpx.DecodingError("no receipt in the answer") from error


async def _streamed(content: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The parts, each read and decrypted off the event loop."""
    parts = iter(content)
    while (part := await asyncio.to_thread(next, parts, b"")) != b"":
        yield part

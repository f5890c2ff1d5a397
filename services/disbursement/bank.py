"""The one-card platform (一卡通) as we see it: batches go out, statements come back.

A batch that was not answered in time is unknown, not failed: the platform deduplicates by `payment_id`, so the same
batch is asked for by its statement and sent again under the same keys, never under new ones.
"""

from __future__ import annotations

import ssl
from datetime import datetime
from typing import Literal, Protocol, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import httpx
import stamina
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.period import DutyDay, Period
from libs.common.vocabulary import ReturnCode

_ATTEMPTS = 3
_BUSY = frozenset({429, 500, 502, 503, 504})


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Transfer(_Message):
    """One payment in the bank's words."""

    payment_id: UUID
    payee_name: str
    account: str
    bank: str
    amount_fen: int = Field(gt=0)
    period_text: str = Field(description="the period paid for, as the SMS will name it")
    phone: str | None = None


class Batch(_Message):
    """Payments of one subsidy (`project`). `department` is the competent department that the SMS names."""

    batch_id: UUID
    period: Period
    department: str
    project: str
    items: tuple[Transfer, ...]


class StatementLine(_Message):
    """What became of one payment, by the bank's books. `accepted`: nothing yet."""

    payment_id: UUID
    amount_fen: int
    status: Literal["accepted", "settled", "failed", "returned"]
    bank_ref: str | None = None
    settled_on: DutyDay | None = None
    returned_on: DutyDay | None = None
    failed_on: DutyDay | None = None
    code: ReturnCode | None = None


class Statement(_Message):
    batch_id: UUID
    items: tuple[StatementLine, ...]


class AcceptedTransfer(StatementLine):
    """A line of the bank's whole statement: which batch brought it, for which month and subsidy (`project`)."""

    batch_id: UUID
    period: Period
    period_text: str
    project: str


class _Accepted(_Message):
    items: tuple[AcceptedTransfer, ...]
    next_cursor: str | None = None


_Answer = TypeVar("_Answer", bound=_Message)


class OutcomeUnknown(Exception):
    """The bank did not answer: it may have accepted the batch or not."""


class BatchRefused(Exception):
    """The bank refuses the batch as it is; sending it again would not help."""


class Bank(Protocol):
    async def send(self, batch: Batch) -> None:
        """Hands a batch over; again and again is once. Raises `OutcomeUnknown`, `BatchRefused`."""

    async def statement(self, batch_id: UUID) -> Statement | None:
        """What the bank's books say of a batch; None: it has none such. Raises `OutcomeUnknown`."""

    async def accepted_since(self, since: datetime | None) -> list[AcceptedTransfer]:
        """All that the bank accepted from a moment on, or ever. Raises `OutcomeUnknown`."""


class OneCardPlatform:
    """The platform over REST, with client credentials (HTTP Basic). Batches are few: each call has its connection."""

    def __init__(self, url: str, *, client_id: str, client_secret: str, timeout_s: float) -> None:
        self._url = url
        self._auth = httpx.BasicAuth(client_id, client_secret)
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()

    async def send(self, batch: Batch) -> None:
        response = await self._ask("POST", "/v1/batches", batch.model_dump_json())
        if response.status_code != httpx.codes.ACCEPTED:
            raise BatchRefused(f"the bank answered {response.status_code}")

    async def statement(self, batch_id: UUID) -> Statement | None:
        response = await self._ask("GET", f"/v1/batches/{batch_id}/statement")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.status_code != httpx.codes.OK:
            raise OutcomeUnknown(f"the bank answered {response.status_code}")
        return _read(Statement, response)

    async def accepted_since(self, since: datetime | None) -> list[AcceptedTransfer]:
        found: list[AcceptedTransfer] = []
        page: _Accepted | None = None
        while page is None or page.next_cursor:
            asked = {"since": since.isoformat() if since else "", "cursor": (page and page.next_cursor) or ""}
            response = await self._ask("GET", f"/v1/statement?{urlencode(asked)}")
            if response.status_code != httpx.codes.OK:
                raise OutcomeUnknown(f"the bank answered {response.status_code}")
            page = _read(_Accepted, response)
            found.extend(page.items)
        return found

    async def _ask(self, method: str, path: str, body: str | None = None) -> httpx.Response:
        """A busy or unreachable bank is asked a few times; one that leaves us waiting is not, it may be at work."""
        try:
            async for attempt in stamina.retry_context(
                on=(_Busy, httpx.ConnectError), attempts=_ATTEMPTS, wait_initial=0.1, wait_max=1.0, timeout=None
            ):
                with attempt:
                    response = await self._request(method, path, body)
                    if response.status_code in _BUSY:
                        raise _Busy(f"the bank answered {response.status_code}")
        except (_Busy, httpx.TransportError) as error:
            raise OutcomeUnknown(str(error) or type(error).__name__) from error
        return response

    async def _request(self, method: str, path: str, body: str | None) -> httpx.Response:
        async with httpx.AsyncClient(
            base_url=self._url, auth=self._auth, timeout=self._timeout_s, verify=self._tls
        ) as client:
            return await client.request(method, path, content=body, headers={"Content-Type": "application/json"})


def _read(expected: type[_Answer], response: httpx.Response) -> _Answer:
    try:
        return expected.model_validate_json(response.content)
    except ValidationError as error:
        raise OutcomeUnknown(f"the bank answered what cannot be read: {error.errors()[0]['msg']}") from error


class _Busy(Exception):
    """The bank cannot answer now."""

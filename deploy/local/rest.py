"""Calls to the services of an embedded run, in any role: what the sample play and the inspecting commands use."""

from __future__ import annotations

import json as json_format
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
import stamina

from libs.common.auth import Role
from libs.common.issuer import issue_token
from libs.common.settings import PORT_OFFSETS

TIMEOUT_S = 30
UPLOAD_TIMEOUT_S = 900
ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a role in an area, by a subject of its own or the default one."""

    role: Role
    area: str
    subject: str | None = None


class Refused(Exception):
    """A service refused a call; the message holds its problem document."""

    def __init__(self, method: str, url: str, status: int, text: str) -> None:
        super().__init__(f"{method} {url} → {status}: {text[:600]}")
        self.status = status
        self.problem = _problem(text)


def _problem(text: str) -> dict[str, Any]:
    try:
        problem = json_format.loads(text)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


class _Unavailable(Exception):
    """The service is starting, busy or not there: worth another try."""


class Rest:
    """A client of every service on one machine. Each POST has an idempotency key, so that trying again is safe."""

    def __init__(self, base_port: int, private_key: str) -> None:
        self._base_port = base_port
        self._private_key = private_key
        self._tokens: dict[Caller, str] = {}
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits)

    async def __aenter__(self) -> Rest:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, service: str, path: str, caller: Caller | None = None, **params: Any) -> Any:
        """The answer's JSON; parameters that are None are left out. Raises `Refused`."""
        given = {name: value for name, value in params.items() if value is not None}
        return await self._call("GET", service, path, caller, params=given)

    async def post(
        self, service: str, path: str, caller: Caller | None = None, json: Any = None, *, key: str | None = None
    ) -> Any:
        """The answer's JSON. `key` names the deed, so that doing it twice is doing it once. Raises `Refused`."""
        return await self._call("POST", service, path, caller, {"Idempotency-Key": key or str(uuid.uuid4())}, json=json)

    async def put(self, service: str, path: str, caller: Caller, json: Any) -> Any:
        return await self._call("PUT", service, path, caller, json=json)

    async def delete(self, service: str, path: str, caller: Caller | None = None) -> Any:
        return await self._call("DELETE", service, path, caller)

    async def upload_csv(
        self, service: str, path: str, caller: Caller, text: str, *, key: str | None = None, **params: Any
    ) -> Any:
        """POST a CSV file as the body."""
        headers = {"Content-Type": "text/csv; charset=utf-8", "Idempotency-Key": key or str(uuid.uuid4())}
        return await self._call("POST", service, path, caller, headers, content=text.encode(), params=params)

    async def upload(self, service: str, path: str, caller: Caller, content: bytes, **params: Any) -> Any:
        """POST a file of any kind as the body; large ones take their time."""
        headers = {"Content-Type": "application/octet-stream"}
        return await self._call(
            "POST", service, path, caller, headers, content=content, params=params, timeout=UPLOAD_TIMEOUT_S
        )

    async def items(self, service: str, path: str, caller: Caller, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        cursor: str | None = None
        while True:
            page = await self.get(service, path, caller, limit=500, cursor=cursor, **params)
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    async def _call(
        self,
        method: str,
        service: str,
        path: str,
        caller: Caller | None,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> Any:
        url = f"http://127.0.0.1:{self._base_port + PORT_OFFSETS[service]}{path}"
        sent = dict(headers or {})
        if caller is not None:
            sent["Authorization"] = f"Bearer {self._token(caller)}"
        async for attempt in stamina.retry_context(on=_Unavailable, attempts=ATTEMPTS, timeout=60, wait_max=8):
            with attempt:
                answer = await self._once(method, url, sent, rest)
        if answer.is_error:
            raise Refused(method, url, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def _once(self, method: str, url: str, headers: dict[str, str], rest: dict[str, Any]) -> httpx.Response:
        try:
            answer = await self._http.request(method, url, headers=headers, **rest)
        except httpx.TransportError as error:
            raise _Unavailable(f"{method} {url}: {type(error).__name__}") from error
        # A twin of this call is still at work: its answer is ours.
        twin = answer.status_code == 409 and "retry-after" in answer.headers
        if answer.status_code in (502, 503, 504) or twin:
            raise _Unavailable(f"{method} {url} → {answer.status_code}")
        return answer

    def _token(self, caller: Caller) -> str:
        if caller not in self._tokens:
            self._tokens[caller] = issue_token(
                self._private_key, role=caller.role, area=caller.area, subject=caller.subject
            )
        return self._tokens[caller]


def admin(area: str = "00") -> Caller:
    return Caller("admin", area)

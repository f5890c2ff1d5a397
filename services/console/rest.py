"""REST to the services, with the user's own token; refusals become sentences that the user can act on."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

import httpx
import stamina

from libs.common.dashboard import Refused
from services.console.refusals import sentence_of

SERVICE_NAMES = {
    "intake": "申请受理",
    "eligibility": "资格认定",
    "matching": "数据比对",
    "disbursement": "资金发放",
    "notification": "消息通知",
}

_UPLOAD_S = 600.0
"""Files of up to 50 MB are taken in before the service answers."""


class HttpRest:
    """One service's REST for one user (`libs.common.dashboard.Rest`). `on_expired` is called when the token is refused.

    A lost answer is asked for again, a POST under its own Idempotency-Key, so that it takes effect once.
    """

    def __init__(
        self, http: httpx.AsyncClient, service: str, url: str, token: str, on_expired: Callable[[], None]
    ) -> None:
        self._http = http
        self._name = SERVICE_NAMES[service]
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._on_expired = on_expired

    async def get(self, path: str, **query: object) -> Any:
        return (await self._ask("GET", path, params=_given(query))).json()

    async def post(self, path: str, body: object = None) -> Any:
        return (await self._ask("POST", path, json=body, headers={"Idempotency-Key": str(uuid4())})).json()

    async def put(self, path: str, body: object) -> Any:
        return (await self._ask("PUT", path, json=body)).json()

    async def delete(self, path: str) -> None:
        await self._ask("DELETE", path)

    async def upload(self, path: str, content: AsyncIterable[bytes], **query: object) -> Any:
        """Sent once: what was read of the file cannot be read again. The same file again is the same feed."""
        return await self._send(path, params=_given(query), content=content)

    async def send_form(self, path: str, content: AsyncIterable[bytes], **fields: object) -> Any:
        """Sent once. The file has no name: people write names into it."""
        with TemporaryFile() as file:
            async for part in content:
                file.write(part)
            file.seek(0)
            return await self._send(path, data=_given(fields), files={"file": ("file", file)})

    async def download(self, path: str, **query: object) -> bytes:
        return (await self._ask("GET", path, params=_given(query))).content

    async def _send(self, path: str, **request: Any) -> Any:
        try:
            answer = await self._http.post(self._url + path, headers=self._headers, timeout=_UPLOAD_S, **request)
        except httpx.TransportError as error:
            raise Refused(f"{self._name}服务没有应答，请稍后再试") from error
        return self._accepted(answer).json()

    async def _ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        try:
            async for attempt in stamina.retry_context(on=httpx.TransportError, attempts=2, wait_max=0.5):
                with attempt:
                    answer = await self._http.request(
                        method, self._url + path, headers={**self._headers, **(headers or {})}, **request
                    )
        except httpx.TransportError as error:
            raise Refused(f"{self._name}服务没有应答，请稍后再试") from error
        return self._accepted(answer)

    def _accepted(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        if answer.status_code == 401:
            self._on_expired()
        raise Refused(self._sentence(answer), answer.status_code)

    def _sentence(self, answer: httpx.Response) -> str:
        if answer.status_code == 401:
            return "登录已过期，请重新登录"
        if answer.status_code >= 500:
            return f"{self._name}服务出错（{answer.status_code}），请求编号 {answer.headers.get('x-request-id', '无')}"
        try:
            body = answer.json()
        except ValueError:
            body = {}
        return sentence_of(answer.status_code, body)


def _given(query: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value not in (None, "")}

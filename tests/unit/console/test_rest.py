from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from libs.common.dashboard import Refused
from libs.common.errors import DomainError, Forbidden, InvalidInput, NotFound
from libs.common.web import problem
from services.console.refusals import _BY_KIND
from services.console.rest import SERVICE_NAMES, HttpRest

Answer = Callable[[httpx.Request], httpx.Response]


def rest(answer: Answer, expired: list[str] | None = None) -> HttpRest:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return HttpRest(http, "intake", "http://intake:8001", "a-token", lambda: (expired or []).append("expired"))


async def test_every_call_carries_the_users_own_token_and_empty_filters_are_left_out() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"items": []})

    assert await rest(answer).get("/v1/applications", area="530102", status="", cursor=None) == {"items": []}
    assert asked[0].headers["Authorization"] == "Bearer a-token"
    assert str(asked[0].url) == "http://intake:8001/v1/applications?area=530102"


async def test_a_lost_answer_is_asked_for_again_under_the_same_idempotency_key() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadTimeout("lost", request=request)
        return httpx.Response(201, json={"done": True})

    assert await rest(answer).post("/v1/things", {}) == {"done": True}
    assert len(keys) == 2
    assert len(set(keys)) == 1


def refused(error: DomainError) -> httpx.Response:
    answer = problem(error)
    return httpx.Response(answer.status_code, content=bytes(answer.body))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (refused(Forbidden("area 53 is outside")), "当前角色或地区无权进行此操作（area 53 is outside）"),
        (refused(NotFound()), "没有找到，或不在您的管辖地区内"),
        (refused(InvalidInput.at("area", "not an area")), "输入有误（area：not an area）"),
        (httpx.Response(500, headers={"x-request-id": "r-1"}), "申请受理服务出错（500），请求编号 r-1"),
        (httpx.Response(418, text="teapot"), "请求未被接受（418）"),
    ],
)
async def test_refusals_become_sentences(answer: httpx.Response, sentence: str) -> None:
    with pytest.raises(Refused) as refusal:
        await rest(lambda request: answer).get("/v1/applications")
    assert str(refusal.value) == sentence
    assert refusal.value.status == answer.status_code


def test_every_kind_of_refusal_has_a_sentence_in_chinese() -> None:
    for service in SERVICE_NAMES:
        importlib.import_module(f"services.{service}.main")
    kinds = {kind.type for kind in _kinds(DomainError) if kind.status < 500 and kind.status != 401}
    assert kinds == set(_BY_KIND)


def _kinds(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


async def test_a_service_that_is_down_is_named() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Refused, match="申请受理服务没有应答") as refusal:
        await rest(answer).get("/v1/applications")
    assert refusal.value.status is None


async def test_an_expired_token_sends_the_user_to_sign_in() -> None:
    expired: list[str] = []
    page = HttpRest(
        httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(401, json={}))),
        "intake",
        "http://intake:8001",
        "old",
        lambda: expired.append("expired"),
    )
    with pytest.raises(Refused, match="登录已过期"):
        await page.get("/v1/applications")
    assert expired == ["expired"]

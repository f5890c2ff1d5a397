from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware

from libs.common.auth import Role, TokenVerifier
from libs.common.issuer import issue_token, new_key_pair
from libs.common.settings import Settings
from services.console.main import build
from services.console.sign_in import IssueDemoToken, Sessions, sign_in_routes

PRIVATE_KEY, PUBLIC_KEY = new_key_pair()


def demo_token(role: Role, area: str) -> str:
    return issue_token(PRIVATE_KEY, role=role, area=area)


def app(issue_demo_token: IssueDemoToken | None) -> FastAPI:
    made = FastAPI()
    made.include_router(sign_in_routes(Sessions(TokenVerifier(Settings(jwt_public_key=PUBLIC_KEY))), issue_demo_token))
    made.add_middleware(SessionMiddleware, secret_key="x" * 40, session_cookie="liangbu_session", same_site="lax")
    return made


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(None)), base_url="http://console.test") as http:
        yield http


@pytest.fixture
async def demo() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app(demo_token))
    async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as http:
        yield http


async def test_a_valid_token_opens_a_session_that_scripts_cannot_read(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/sign-in", data={"token": f"  {demo_token('finance', '530102')}\n"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()


@pytest.mark.parametrize("token", ["", "nonsense", demo_token("admin", "53")[:-4] + "AAAA"])
async def test_an_invalid_token_opens_none(browser: httpx.AsyncClient, token: str) -> None:
    answer = await browser.post("/sign-in", data={"token": token})
    assert answer.headers["location"] == "/sign-in?problem=token"
    assert "set-cookie" not in answer.headers


async def test_partners_are_machines_and_have_no_pages(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/sign-in", data={"token": demo_token("partner", "53")})
    assert answer.headers["location"] == "/sign-in?problem=role"


async def test_a_role_can_be_chosen_only_where_the_embedded_issuers_key_is(
    browser: httpx.AsyncClient, demo: httpx.AsyncClient
) -> None:
    chosen = {"role": "civil_affairs", "area": "530102"}
    assert (await browser.post("/sign-in", data=chosen)).headers["location"] == "/sign-in?problem=token"
    assert (await demo.post("/sign-in", data=chosen)).headers["location"] == "/"
    assert (await demo.post("/sign-in", data={"role": "admin", "area": "00"})).headers["location"] == "/"
    for wrong, problem in [({"role": "king", "area": "53"}, "role"), ({"role": "admin", "area": "5"}, "area")]:
        assert (await demo.post("/sign-in", data=wrong)).headers["location"] == f"/sign-in?problem={problem}"


async def test_a_form_on_another_site_signs_nobody_in_or_out(demo: httpx.AsyncClient) -> None:
    elsewhere = {"Origin": "http://evil.test"}
    answer = await demo.post("/sign-in", data={"role": "admin", "area": "53"}, headers=elsewhere)
    assert answer.status_code == 403
    assert (await demo.post("/sign-out", headers=elsewhere)).status_code == 403


async def test_signing_out_forgets_the_token(browser: httpx.AsyncClient) -> None:
    await browser.post("/sign-in", data={"token": demo_token("admin", "53")})
    assert browser.cookies.get("liangbu_session")
    answer = await browser.post("/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert not browser.cookies.get("liangbu_session")


def test_the_console_does_not_start_with_a_guessable_session_secret() -> None:
    with pytest.raises(ValueError, match="LIANGBU_CONSOLE_SECRET"):
        build(Settings(console_secret="short"))

"""Signing in and out: a bearer token, kept in a signed session cookie that scripts cannot read.

The console keeps no session of its own: any replica reads the cookie, and the services check the token again with each
request. In a demo the user picks a role and an area instead, and the console signs the token itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from nicegui import ui

from libs.common.areas import NotAnArea, parse_area
from libs.common.auth import OFFICIALS, ROLE_NAMES, Principal, Role, TokenVerifier
from libs.common.errors import Unauthenticated
from services.console import look

SESSION_HOURS = 12
WHOLE_NATION = "00"

IssueDemoToken = Callable[[Role, str], str]
"""A token for a role in an area; only where the console holds the embedded issuer's key."""

_PROBLEMS = {
    "token": "令牌无效或已过期，请重新获取",
    "area": "地区代码应为2、4、6或9位数字",
    "role": "该角色不使用管理台",
    "expired": "登录已过期，请重新登录",
}


class Sessions:
    """Who sits behind a request's session cookie."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def principal(self, token: str) -> Principal | None:
        """The token's holder, None unless it is valid now. (A key may have to be fetched: off the event loop.)"""
        try:
            return await asyncio.to_thread(self._verifier.verify, token)
        except Unauthenticated:
            return None

    async def of(self, request: Request) -> tuple[Principal, str] | None:
        """The signed-in user and the user's token."""
        token = str(request.session.get("token", ""))
        principal = await self.principal(token) if token else None
        return (principal, token) if principal is not None else None


def sign_in_routes(sessions: Sessions, issue_demo_token: IssueDemoToken | None) -> APIRouter:
    """The forms' targets. A form sent from another site is refused: nobody is signed in without knowing."""
    routes = APIRouter(include_in_schema=False)

    @routes.post("/sign-in")
    async def sign_in(
        request: Request,
        token: Annotated[str, Form()] = "",
        role: Annotated[str, Form()] = "",
        area: Annotated[str, Form()] = "",
    ) -> Response:
        if not _same_origin(request):
            return Response("sent from another site", 403)
        if issue_demo_token is not None and role:
            if role not in OFFICIALS:
                return _back("role")
            try:
                token = issue_demo_token(role, area if area == WHOLE_NATION else parse_area(area))
            except NotAnArea:
                return _back("area")
        token = token.strip()
        principal = await sessions.principal(token)
        if principal is None:
            return _back("token")
        if principal.role not in OFFICIALS:
            return _back("role")
        request.session["token"] = token
        return RedirectResponse("/", 303)

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        if not _same_origin(request):
            return Response("sent from another site", 403)
        request.session.clear()
        return RedirectResponse("/sign-in", 303)

    return routes


def sign_in_page(issue_demo_token: IssueDemoToken | None) -> None:
    """Registers the page with the form."""

    @ui.page("/sign-in", title="登录 · 两补")
    async def show(problem: str = "") -> None:
        look.apply()
        with ui.element("main").classes("lb-sign-in"), ui.column().classes("lb-card lb-sign-in-card"):
            ui.label("两补").classes("lb-brand").props("role=heading aria-level=1")
            ui.label("残疾人两项补贴精准管理平台").classes("lb-about")
            if problem in _PROBLEMS:
                ui.label(_PROBLEMS[problem]).classes("lb-problem").props("role=alert")
            if issue_demo_token is not None:
                _demo_form()
                ui.label("或使用令牌登录").classes("lb-divider")
            _token_form()


def _demo_form() -> None:
    with ui.element("form").props("method=post action=/sign-in").classes("lb-form"):
        roles = {role: ROLE_NAMES[role] for role in OFFICIALS}
        with ui.element("label").classes("lb-native"):
            ui.label("角色")
            with ui.element("select").props("name=role required"):
                for role, name in roles.items():
                    with ui.element("option").props(f"value={role}"):
                        ui.html(name, sanitize=False)
        with ui.element("label").classes("lb-native"):
            ui.label("地区代码（例如 530102 五华区；00 全国）")
            ui.element("input").props("name=area value=530102 required inputmode=numeric pattern=[0-9]{2,9}")
        ui.button("进入演示").props("type=submit unelevated no-caps").classes("w-full")
        ui.label("演示环境：不验证身份，请勿录入真实数据").classes("lb-about")


def _token_form() -> None:
    with ui.element("form").props("method=post action=/sign-in").classes("lb-form"):
        with ui.element("label").classes("lb-native"):
            ui.label("访问令牌")
            ui.element("input").props("name=token type=password required autocomplete=off")
        ui.button("登录").props("type=submit unelevated no-caps").classes("w-full")


def _back(problem: str) -> RedirectResponse:
    return RedirectResponse(f"/sign-in?problem={problem}", 303)


def _same_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")

"""The console's composition root: `python -m services.console.main`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import Response
from nicegui import ui
from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.auth import Role, TokenVerifier
from libs.common.dashboard import Page
from libs.common.issuer import issue_token
from libs.common.operations import metrics
from libs.common.service import serve
from libs.common.settings import Settings
from services.console.pages import Overview, person
from services.console.rest import SERVICE_NAMES
from services.console.settings import ConsoleSettings
from services.console.shell import SLOW_PAGE_S, Dashboard, Shell, Visit
from services.console.sign_in import SESSION_HOURS, IssueDemoToken, Sessions, sign_in_page, sign_in_routes
from services.disbursement import dashboard as disbursement
from services.eligibility import dashboard as eligibility
from services.intake import dashboard as intake
from services.matching import dashboard as matching
from services.notification import dashboard as notification

DASHBOARDS = (
    Dashboard("intake", intake.PAGES, intake.PERSON_PANELS, intake.WORK),
    Dashboard("eligibility", eligibility.PAGES, eligibility.PERSON_PANELS, story=eligibility.STORY),
    Dashboard("matching", matching.PAGES, matching.PERSON_PANELS, matching.WORK, matching.STORY),
    Dashboard("disbursement", disbursement.PAGES, disbursement.PERSON_PANELS, disbursement.WORK, disbursement.STORY),
    Dashboard("notification", notification.PAGES, notification.PERSON_PANELS, notification.WORK, notification.STORY),
)

_SECRET_CHARACTERS = 32
RECONNECT_S = 30.0
"""A page is kept so long for a browser that is cut off: what was typed into a form outlives a lost connection."""


def build(settings: Settings) -> FastAPI:
    """The console's app. ValueError without a session secret worth the name."""
    settings = ConsoleSettings(**settings.model_dump())  # its own settings come from the environment
    if len(settings.console_secret) < _SECRET_CHARACTERS:
        raise ValueError(f"LIANGBU_CONSOLE_SECRET needs at least {_SECRET_CHARACTERS} characters")
    http = httpx.AsyncClient(timeout=10.0)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with http:
            yield

    app = FastAPI(title="Liangbu console", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _add_health(app)
    sessions = Sessions(TokenVerifier(settings))
    issue_demo_token = _demo_issuer(settings)
    app.include_router(sign_in_routes(sessions, issue_demo_token))
    sign_in_page(issue_demo_token)
    _add_pages(settings, http, sessions)
    app.add_middleware(
        SessionMiddleware,
        secret_key=settings.console_secret,
        session_cookie="liangbu_session",
        max_age=SESSION_HOURS * 3600,
        same_site="lax",
        https_only=settings.console_https,
    )
    app.add_middleware(_SafeHeaders)
    ui.run_with(
        app, title="两补", favicon="🧾", language="zh-CN", reconnect_timeout=RECONNECT_S, show_welcome_message=False
    )
    return app


def _add_health(app: FastAPI) -> None:
    app.add_api_route("/metrics", metrics)

    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready() -> dict[str, Any]:
        """Ready whenever it runs: a service that is down is shown on the overview, and must not take this down too."""
        return {"status": "ready", "problems": []}


def _demo_issuer(settings: ConsoleSettings) -> IssueDemoToken | None:
    if not settings.demo_signing_key:
        return None

    def issue(role: Role, area: str) -> str:
        return issue_token(settings.demo_signing_key, role=role, area=area)

    return issue


def _add_pages(settings: ConsoleSettings, http: httpx.AsyncClient, sessions: Sessions) -> None:
    shell = Shell(settings, http, sessions, DASHBOARDS)
    shell.add_page("/", "总览", "dashboard", Overview(settings, http, DASHBOARDS).build)
    for dashboard in DASHBOARDS:
        group = SERVICE_NAMES[dashboard.service]
        for page in dashboard.pages:
            shell.add_page(page.path, page.title, page.icon, _at_desk(dashboard.service, page), page.roles, group)

    @ui.page("/persons/{person_id}", title="人员 · 两补", response_timeout=SLOW_PAGE_S)
    async def show_person(request: Request, person_id: str) -> Response | None:
        return await shell.show(request, "", partial(person, shell, person_id=person_id))


def _at_desk(service: str, page: Page) -> Callable[[Visit], Awaitable[None]]:
    async def build_page(visit: Visit) -> None:
        await page.build(visit.desks[service])

    return build_page


class _SafeHeaders:
    """No framing by other sites, no guessing of types, no addresses told to other sites."""

    _HEADERS = (
        (b"content-security-policy", b"frame-ancestors 'none'; form-action 'self'; base-uri 'self'"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


if __name__ == "__main__":
    serve("console", build)

"""The frame around every page: who is signed in, the menu, and where a page's refusals are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import httpx
from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import ui

from libs.common.areas import full_name_of
from libs.common.auth import OFFICIALS, ROLE_NAMES, Principal, Role
from libs.common.clock import business_today
from libs.common.dashboard import Desk, Page, Panel, Refused, Work, problem
from services.console import look
from services.console.rest import HttpRest
from services.console.settings import ConsoleSettings
from services.console.sign_in import Sessions

SLOW_PAGE_S = 15.0


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What one service brings."""

    service: str
    pages: Sequence[Page]
    panels: Sequence[Panel] = ()
    work: Sequence[Work] = ()
    story: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to a page: who came, and a desk at each service."""

    principal: Principal
    desks: Mapping[str, Desk]


BuildPage = Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _MenuItem:
    path: str
    title: str
    icon: str
    group: str
    roles: Sequence[Role]


class Shell:
    """Builds pages inside the frame, for whoever is signed in."""

    def __init__(
        self,
        settings: ConsoleSettings,
        http: httpx.AsyncClient,
        sessions: Sessions,
        dashboards: Sequence[Dashboard],
    ) -> None:
        self._settings, self._http, self._sessions = settings, http, sessions
        self.dashboards = dashboards
        self._menu: list[_MenuItem] = []

    def add_page(
        self, path: str, title: str, icon: str, build: BuildPage, roles: Sequence[Role] = OFFICIALS, group: str = ""
    ) -> None:
        """Registers a page and its place in the menu, in the order of calls; pages of a group stand under its name."""
        self._menu.append(_MenuItem(path, title, icon, group, roles))

        @ui.page(path, title=f"{title} · 两补", response_timeout=SLOW_PAGE_S)
        async def show_page(request: Request) -> Response | None:
            return await self.show(request, path, build, roles)

    async def show(
        self,
        request: Request,
        path: str,
        build: BuildPage,
        roles: Sequence[Role] = OFFICIALS,
    ) -> Response | None:
        """One page in its frame; whoever is not signed in is sent to sign in."""
        signed_in = await self._sessions.of(request)
        if signed_in is None:
            return RedirectResponse("/sign-in?problem=expired" if "token" in request.session else "/sign-in", 303)
        principal, token = signed_in
        visit = Visit(principal, self._desks(principal, token))
        look.apply()
        self._frame(visit, path)
        with ui.element("main").classes("lb-main") as main:
            try:
                if principal.role not in roles:
                    raise Refused("当前角色不使用此页面", 403)
                await build(visit)
            except Refused as refusal:
                problem(refusal)
        ui.skip_link("跳到主要内容", target=main)
        return None

    def _desks(self, principal: Principal, token: str) -> Mapping[str, Desk]:
        client = ui.context.client

        def expired() -> None:
            with client:
                ui.navigate.to("/sign-in?problem=expired")

        rests = {
            dashboard.service: HttpRest(
                self._http, dashboard.service, self._settings.url_of(dashboard.service), token, expired
            )
            for dashboard in self.dashboards
        }

        async def find_person(id_number: str) -> str:
            found = await rests["intake"].post("/v1/persons/search", {"id_number": id_number.strip()})
            return str(found["person_id"])

        return {
            service: Desk(rest, principal.sub, principal.role, principal.area, find_person)
            for service, rest in rests.items()
        }

    def _frame(self, visit: Visit, path: str) -> None:
        who = visit.principal
        place = full_name_of(who.area, business_today()) if who.area else "全国"
        with ui.header().classes("lb-header"):
            menu_button = ui.button(icon="menu", color=None).props('flat dense round aria-label="菜单"')
            ui.label("两补").classes("lb-header-name")
            ui.label("残疾人两项补贴精准管理平台").classes("lb-header-about")
            ui.space()
            ui.button("查找人员", icon="person_search", color=None, on_click=lambda: _ask_for_person(visit)).props(
                "flat no-caps dense"
            )
            ui.label(f"{place} · {ROLE_NAMES[who.role]} · {who.sub}").classes("lb-who")
            with ui.element("form").props("method=post action=/sign-out"):
                ui.button("退出", icon="logout", color=None).props("flat no-caps dense type=submit")
        with (
            ui.left_drawer(value=None).props("width=208 breakpoint=900").classes("lb-menu") as drawer,
            ui.element("nav").props('aria-label="主菜单"').classes("w-full"),
        ):
            mine = [page for page in self._menu if who.role in page.roles]
            for group, pages in groupby(mine, key=lambda page: page.group):
                if group:
                    ui.label(group).classes("lb-menu-group")
                for page in pages:
                    with ui.link(target=page.path).props("aria-current=page" if page.path == path else ""):
                        ui.icon(page.icon).props("aria-hidden=true")
                        ui.label(page.title)
        menu_button.on_click(drawer.toggle)
        ui.run_javascript("document.querySelector('.lb-menu [aria-current]')?.scrollIntoView({block: 'nearest'})")


async def _ask_for_person(visit: Visit) -> None:
    """A dialog that turns a resident ID into the person's page. The ID goes into a request body, never a URL."""
    with ui.dialog().props('aria-label="查找人员"') as dialog, ui.card().classes("lb-dialog"):
        ui.label("按身份证号查找").classes("lb-section").props("role=heading aria-level=2")
        entered = ui.input("身份证号").props("outlined dense autofocus autocomplete=off").classes("lb-wide")
        answer = ui.column().classes("w-full")

        async def find() -> None:
            answer.clear()
            try:
                person_id = await visit.desks["intake"].find_person(entered.value)
            except Refused as refusal:
                with answer:
                    problem(refusal)
                return
            ui.navigate.to(f"/persons/{person_id}")

        entered.on("keydown.enter", find)
        with ui.row():
            ui.button("查找", on_click=find).props("unelevated no-caps")
            ui.button("取消", on_click=dialog.close).props("flat no-caps")
    dialog.open()

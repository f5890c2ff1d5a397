"""The console's own pages: what waits for the signed-in user, how the services are, and one person's whole story."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from nicegui import ui

from libs.common.dashboard import (
    Column,
    Refused,
    Work,
    as_moment,
    as_short,
    count_work,
    facts,
    heading,
    problem,
    section,
    table,
    word,
)
from services.console.rest import SERVICE_NAMES
from services.console.settings import ConsoleSettings
from services.console.shell import Dashboard, Shell, Visit

_READY = {"ready": ("正常", "good"), "unready": ("未就绪", "busy"), "silent": ("无应答", "bad")}
_OPERATORS = ("auditor", "admin")


class Overview:
    """The first page: one's work in one's area; whether each service works, how far it is, whether its books hold."""

    def __init__(self, settings: ConsoleSettings, http: httpx.AsyncClient, dashboards: Sequence[Dashboard]) -> None:
        self._settings, self._http, self._dashboards = settings, http, dashboards

    async def build(self, visit: Visit) -> None:
        heading("总览", "待办事项按您的角色和地区列出；下方是各服务的状态")
        await self._work(visit)
        states = await asyncio.gather(*(self._readiness(service) for service in visit.desks))
        with ui.element("div").classes("lb-grid"):
            for service, (state, problems) in zip(visit.desks, states, strict=True):
                with section(SERVICE_NAMES[service]):
                    word(state, _READY)
                    for line in problems:
                        ui.label(line).classes("lb-about")
                    if visit.principal.role in _OPERATORS:
                        await _progress(visit, service)
        if visit.principal.role in _OPERATORS:
            with section("不变量核对"):
                ui.label("在生产数据上逐条核对必须成立的事实；不成立的列出前十行。").classes("lb-about")
                results = ui.column().classes("w-full")

                async def check() -> None:
                    results.clear()
                    with results:
                        await _invariants(visit)

                ui.button("立即核对", icon="fact_check", on_click=check).props("outline no-caps")

    async def _work(self, visit: Visit) -> None:
        """What waits for the user's role; a service that does not answer says so in its own line."""
        waiting = [
            (dashboard.service, work)
            for dashboard in self._dashboards
            for work in dashboard.work
            if visit.principal.role in work.roles
        ]
        if not waiting:
            return
        counts = await asyncio.gather(*(_count(visit, service, work) for service, work in waiting))
        with section("待办事项"), ui.element("ul").classes("lb-work"):
            for (_, work), count in zip(waiting, counts, strict=True):
                with ui.element("li"), ui.link(target=work.page):
                    ui.label(work.title)
                    ui.label(count).classes(f"lb-word lb-{'quiet' if count == '0' else 'busy'}")

    async def _readiness(self, service: str) -> tuple[str, list[str]]:
        try:
            answer = await self._http.get(f"{self._settings.url_of(service)}/readyz", timeout=3)
            body: Mapping[str, Any] = answer.json()
        except (httpx.TransportError, ValueError):
            return "silent", []
        return str(body["status"]), list(body["problems"])


async def _count(visit: Visit, service: str, work: Work) -> str:
    try:
        return await count_work(visit.desks[service], work)
    except Refused:
        return "未能读取"


async def _progress(visit: Visit, service: str) -> None:
    try:
        status = await visit.desks[service].rest.get("/v1/status")
    except Refused as refusal:
        problem(refusal)
        return
    oldest = min((mark["until"] for mark in status["watermarks"] if mark["until"]), default=None)
    facts(
        [
            ("待发布事件", str(status["unpublished"])),
            ("死信", str(status["dead_letters"])),
            ("已读至", as_moment(oldest)[5:]),
        ],
        in_rows=True,
    )


async def _invariants(visit: Visit) -> None:
    checked: list[dict[str, Any]] = []
    for service, desk in visit.desks.items():
        try:
            answer = await desk.rest.get("/v1/invariants")
        except Refused as refusal:
            problem(refusal)
            continue
        checked += [{"service": SERVICE_NAMES[service], **item} for item in answer["invariants"]]
    table(
        [
            Column("service", "服务"),
            Column("says", "必须成立", wide=True),
            Column("holds", "结果", words={"True": ("成立", "good"), "False": ("不成立", "bad")}),
            Column("broken_by", "违反的记录", show=lambda rows: str(len(rows)) if rows else "—", numeric=True),
        ],
        checked,
    )


async def person(shell: Shell, visit: Visit, person_id: str) -> None:
    """One story from all services, newest first; below it what each knows, panel by panel. A service that refuses does
    not hide the others."""
    heading("人员", f"编号 {as_short(person_id)}")
    with section("经历"):
        await _story(shell, visit, person_id)
    for dashboard in shell.dashboards:
        for panel in dashboard.panels:
            with section(panel.title):
                try:
                    await panel.build(visit.desks[dashboard.service], person_id)
                except Refused as refusal:
                    problem(refusal)


async def _story(shell: Shell, visit: Visit, person_id: str) -> None:
    told = await asyncio.gather(*(_part(visit, dashboard.service, person_id) for dashboard in shell.dashboards))
    words = {what: chinese for dashboard in shell.dashboards for what, chinese in dashboard.story.items()}
    items = []
    for dashboard, part in zip(shell.dashboards, told, strict=True):
        if isinstance(part, Refused):
            if part.status != 404:
                problem(part)
            continue
        items += [_line(dashboard, entry, words) for entry in part]
    items.sort(key=lambda item: item["at"], reverse=True)
    columns = [
        Column("at", "时间", show=as_moment),
        Column("service", "环节"),
        Column("what", "事项"),
        Column("detail", "说明", wide=True),
    ]
    table(columns, items, empty="没有相关记录")


async def _part(visit: Visit, service: str, person_id: str) -> Sequence[Mapping[str, Any]] | Refused:
    try:
        answer = await visit.desks[service].rest.get(f"/v1/persons/{person_id}/timeline")
    except Refused as refusal:
        return refusal
    items: Sequence[Mapping[str, Any]] = answer["items"]
    return items


_CODE = re.compile(r"[a-z_]+(?:\.[a-z_]+)*")


def _line(dashboard: Dashboard, entry: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """One line of the story. Its service's own words come before those that another has for the same code."""
    known = {**words, **dashboard.story}
    return {
        "at": entry["at"],
        "service": SERVICE_NAMES[dashboard.service],
        "what": known.get(entry["what"], entry["what"]),
        "detail": _CODE.sub(lambda code: known.get(code[0], code[0]), entry["detail"] or ""),
    }

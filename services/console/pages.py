"""The console's own pages: the overview, and everything about one person, put together from all services."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from nicegui import ui

from libs.common.dashboard import Column, Refused, as_moment, facts, heading, problem, section, table, word
from services.console.rest import SERVICE_NAMES
from services.console.settings import ConsoleSettings
from services.console.shell import Shell, Visit

_READY = {"ready": ("正常", "good"), "unready": ("未就绪", "busy"), "silent": ("无应答", "bad")}


class Overview:
    """Whether each service works, how far its events are, and whether its books hold."""

    def __init__(self, settings: ConsoleSettings, http: httpx.AsyncClient) -> None:
        self._settings, self._http = settings, http

    async def build(self, visit: Visit) -> None:
        heading("总览", "各服务是否正常；审计和管理员还能看到事件积压和不变量核对")
        states = await asyncio.gather(*(self._readiness(service) for service in visit.desks))
        with ui.element("div").classes("lb-grid"):
            for service, (state, problems) in zip(visit.desks, states, strict=True):
                with section(SERVICE_NAMES[service]):
                    word(state, _READY)
                    for line in problems:
                        ui.label(line).classes("lb-about")
                    if visit.principal.role in ("auditor", "admin"):
                        await _progress(visit, service)
        if visit.principal.role in ("auditor", "admin"):
            with section("不变量核对"):
                ui.label("在生产数据上逐条核对必须成立的事实；不成立的列出前十行。").classes("lb-about")
                results = ui.column().classes("w-full")

                async def check() -> None:
                    results.clear()
                    with results:
                        await _invariants(visit)

                ui.button("立即核对", icon="fact_check", on_click=check).props("outline no-caps")

    async def _readiness(self, service: str) -> tuple[str, list[str]]:
        try:
            answer = await self._http.get(f"{self._settings.url_of(service)}/readyz", timeout=3)
            body: Mapping[str, Any] = answer.json()
        except (httpx.TransportError, ValueError):
            return "silent", []
        return str(body["status"]), list(body["problems"])


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
    """What each service knows of one person, panel by panel; a service that refuses does not hide the others."""
    heading("人员", f"编号 {person_id}")
    for dashboard in shell.dashboards:
        for panel in dashboard.panels:
            with section(panel.title):
                try:
                    await panel.build(visit.desks[dashboard.service], person_id)
                except Refused as refusal:
                    problem(refusal)

"""Department feeds (部门数据) in the console: what came in, what is in quarantine, and what comparisons made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    Column,
    Desk,
    Filter,
    Refused,
    Words,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_words,
    facts,
    heading,
    listing,
    options_of,
    problem,
    word,
)
from services.matching.dashboard.findings import SOURCES

STATUSES: Words = {
    "received": ("正在读取", "busy"),
    "stored": ("正在入库", "busy"),
    "quarantined": ("存疑待核", "bad"),
    "ready": ("可用", "good"),
    "refused": ("不予采用", "quiet"),
}
MODES: Words = {"delta": ("变动", "quiet"), "snapshot": ("全量", "quiet")}
RUNS: Words = {"running": ("比对中", "busy"), "completed": ("已完成", "good"), "failed": ("未完成", "bad")}
LEVELS: Words = {
    "county": ("县级", "quiet"),
    "prefecture": ("州市级", "quiet"),
    "province": ("省级", "quiet"),
    "annual": ("年度全员", "quiet"),
}


async def feeds(desk: Desk) -> None:
    heading("部门数据", "比上次少了三成以上、或中途截断的全量数据先存疑，经人核实后才采用")
    await listing(
        desk,
        "/v1/feeds",
        [
            Column("source", "来源", show=as_words(SOURCES)),
            Column("area", "地区", show=as_area),
            Column("as_of", "数据日期"),
            Column("mode", "方式", show=as_words(MODES)),
            Column("accepted", "采用行数"),
            Column("rejected", "退回行数"),
            Column("status", "状态", words=STATUSES),
            Column("received_at", "收到时间", show=as_moment),
        ],
        [
            area_filter(desk),
            Filter("status", "状态", options_of(STATUSES)),
            Filter("source", "来源", options_of(SOURCES)),
        ],
        on_open=lambda row: _open(desk, row),
    )


async def comparisons(desk: Desk) -> None:
    heading("比对记录", "每次比对留有台账：所用数据、规则、结果及其去向，可随时重新比对核验")
    await listing(
        desk,
        "/v1/comparisons",
        [
            Column("level", "层级", show=as_words(LEVELS)),
            Column("area", "地区", show=as_area),
            Column("as_of", "比对日期"),
            Column("counts", "比对人数 / 新增线索", show=lambda counts: f"{counts['compared']} / {counts['findings']}"),
            Column("discrepancies", "数据疑点"),
            Column("status", "状态", words=RUNS),
        ],
        [area_filter(desk)],
    )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    feed = await desk.rest.get(f"/v1/feeds/{row['feed_id']}")
    with ui.dialog() as dialog, ui.card().classes("lb-dialog"):
        ui.label(as_words(SOURCES)(feed["source"])).classes("lb-section")
        word(feed["status"], STATUSES)
        facts(
            [
                ("数据日期", as_text(feed["as_of"])),
                ("已读行数", as_text(feed["rows_read"])),
                ("提示", "；".join(feed["notices"]) or "—"),
                ("不予采用的原因", as_text(feed["refusal"])),
                ("核实人", as_text(feed["released_by"])),
                ("核实说明", as_text(feed["release_note"])),
                ("摘要（SM3）", feed["digest"]),
            ]
        )
        if feed["status"] == "quarantined" and desk.role in ("cdpf", "civil_affairs"):
            _decision(desk, feed, dialog)
        ui.button("关闭", on_click=dialog.close).props("flat no-caps")
    dialog.open()


def _decision(desk: Desk, feed: Mapping[str, Any], dialog: ui.dialog) -> None:
    """A person asked the sender: believed after all, or not."""
    reason = ui.input("核实说明").props("outlined dense")
    refused = ui.column().classes("w-full")

    async def answer(decision: str) -> None:
        try:
            await desk.rest.post(f"/v1/feeds/{feed['feed_id']}/{decision}", {"reason": reason.value or ""})
        except Refused as refusal:
            refused.clear()
            with refused:
                problem(refusal)
            return
        dialog.close()
        ui.notify("已记录")

    with ui.row():
        ui.button("核实无误，采用", on_click=lambda: answer("release")).props("unelevated no-caps")
        ui.button("不予采用", on_click=lambda: answer("refusal")).props("outline no-caps")

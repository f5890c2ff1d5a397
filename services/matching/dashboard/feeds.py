"""Department feeds (部门数据) in the console: what came in, what is in quarantine, and what comparisons made of it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Any

from nicegui import ui

from libs.common.areas import level_of
from libs.common.clock import business_today
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
    dialog,
    facts,
    heading,
    options_of,
    problem,
    subheading,
    table,
    word,
)
from libs.common.forms import choice, paper, posted, sending_file
from libs.common.listing import listing
from services.matching.dashboard.findings import KINDS, SOURCES

STATUSES: Words = {
    "received": ("正在读取", "busy"),
    "stored": ("正在入库", "busy"),
    "quarantined": ("存疑待核", "bad"),
    "ready": ("可用", "good"),
    "refused": ("不予采用", "quiet"),
}
MODES: Words = {"delta": ("变动", "quiet"), "snapshot": ("全量", "quiet")}
SENDERS: Mapping[str, tuple[str, ...]] = {
    "cdpf": ("certificates",),
    "civil_affairs": tuple(name for name in SOURCES if name != "verification"),
}
"""Whose files each role sends."""
_LOOKS_EVERY_S = 1.0
RUNS: Words = {"running": ("比对中", "busy"), "completed": ("已完成", "good"), "failed": ("未完成", "bad")}
LEVELS: Words = {
    "county": ("县级", "quiet"),
    "prefecture": ("州市级", "quiet"),
    "province": ("省级", "quiet"),
    "annual": ("年度全员", "quiet"),
}


async def feeds(desk: Desk) -> None:
    heading("部门数据", "比上次少了三成以上、或中途截断的全量数据先存疑，经人核实后才采用")
    if desk.role in SENDERS:
        ui.button("上传数据", icon="upload_file", on_click=lambda: _sending(desk)).props("unelevated no-caps").classes(
            "self-start"
        )
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


def _sending(desk: Desk) -> None:
    """A department's file: whose it is, of which day, all or only what changed."""
    with dialog("上传部门数据"):
        with ui.row().classes("lb-filters"):
            source = choice({name: SOURCES[name][0] for name in SENDERS[desk.role]}, "来源")
            as_of = ui.input("数据日期", value=str(business_today())).props("outlined dense").classes("lb-field")
            mode = choice({name: words for name, (words, _) in MODES.items()}, "方式")

        async def send(content: AsyncIterable[bytes], answered: ui.column) -> None:
            query = {"area": desk.area, "as_of": as_of.value, "mode": mode.value}
            feed = await desk.rest.upload(f"/v1/feeds/{source.value}", content, **query)
            await _show_taken(desk, feed["feed_id"], answered)

        sending_file(
            send, accept=".csv,.txt,.xlsx,.ndjson,.parquet", most_mib=2048, about="CSV、Excel、NDJSON 或 Parquet"
        )


async def _show_taken(desk: Desk, feed_id: str, answered: ui.column) -> None:
    """How far the file is read, and once it is, what was taken of it."""
    feed = await desk.rest.get(f"/v1/feeds/{feed_id}")
    answered.clear()
    with answered:
        word(feed["status"], STATUSES)
        if feed["accepted"] is None and feed["status"] != "refused":
            ui.label(f"已读 {feed['rows_read'] or 0} 行")
            ui.timer(_LOOKS_EVERY_S, lambda: _show_taken(desk, feed_id, answered), once=True)
            return
        facts(
            [
                ("采用行数", as_text(feed["accepted"])),
                ("退回行数", as_text(feed["rejected"])),
                ("提示", "；".join(feed["notices"]) or "—"),
                ("不予采用的原因", as_text(feed["refusal"])),
            ]
        )
        if feed["rejected"]:
            await _rejects(desk, feed)


async def comparisons(desk: Desk) -> None:
    heading("比对记录", "每次比对留有台账：所用数据、规则、结果及其去向，可随时重新比对核验")
    if desk.role == "civil_affairs" and 2 <= len(desk.area) <= 6:
        with ui.row().classes("lb-filters"):
            _order(desk)
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
        on_open=lambda row: _open_run(desk, row),
    )


def _order(desk: Desk) -> None:
    """Civil affairs compares the area with whatever feeds there are."""
    on = ui.input("比对日期", value=str(business_today())).props("outlined dense").classes("lb-field")
    refused = ui.column()

    async def order(level: str) -> None:
        if await posted(desk, "/v1/comparisons", {"level": level, "area": desk.area, "as_of": on.value}, refused):
            ui.navigate.to("/comparisons")

    ui.button("开始比对", icon="play_arrow", on_click=lambda: order(level_of(desk.area))).props("unelevated no-caps")
    ui.button("年度全员复核", on_click=lambda: order("annual")).props("outline no-caps")


async def _open_run(desk: Desk, row: Mapping[str, Any]) -> None:
    run = await desk.rest.get(f"/v1/comparisons/{row['comparison_id']}")
    with dialog(f"{as_words(LEVELS)(run['level'])}比对 {run['as_of']}"):
        word(run["status"], RUNS)
        facts(
            [
                ("比对人数", str(run["counts"]["compared"])),
                ("线索", f"{run['leads']}，已处理 {run['noted']}"),
                ("新增发现", str(run["counts"]["findings"])),
                ("缺少的数据", as_words(SOURCES)(run["missing"])),
                ("当月没有更新的数据", as_words(SOURCES)(run["stale"])),
                ("未完成的原因", as_text(run["failure"])),
                ("台账哈希", as_text(run["digest"])),
            ]
        )
        kinds = [{"kind": kind, "count": count} for kind, count in run["counts"]["by_kind"].items()]
        table([Column("kind", "线索", show=as_words(KINDS)), Column("count", "件数", numeric=True)], kinds)
        paper(desk, "台账", f"/v1/comparisons/{run['comparison_id']}/ledger", ("xlsx",))


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    feed = await desk.rest.get(f"/v1/feeds/{row['feed_id']}")
    with dialog(as_words(SOURCES)(feed["source"])) as opened:
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
        if feed["rejected"]:
            await _rejects(desk, feed)
        if feed["status"] == "quarantined" and desk.role in ("cdpf", "civil_affairs"):
            _decision(desk, feed, opened)


async def _rejects(desk: Desk, feed: Mapping[str, Any]) -> None:
    """The first rows that were not taken, and all of them to take away."""
    answer = await desk.rest.get(f"/v1/feeds/{feed['feed_id']}/rejects", limit=10)
    subheading(f"退回 {feed['rejected']} 行")
    columns = [Column("row", "行号", numeric=True), Column("title", "字段"), Column("reason", "原因", wide=True)]
    table(columns, answer["items"])
    paper(desk, "全部退回行", f"/v1/feeds/{feed['feed_id']}/rejects", ("csv",))


def _decision(desk: Desk, feed: Mapping[str, Any], opened: ui.dialog) -> None:
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
        opened.close()
        ui.notify("已记录")

    with ui.row():
        ui.button("核实无误，采用", on_click=lambda: answer("release")).props("unelevated no-caps")
        ui.button("不予采用", on_click=lambda: answer("refusal")).props("outline no-caps")

"""Archives in the console: spot checks drawn and judged one by one, and what is to be completed (notice 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.clock import business_today
from libs.common.dashboard import (
    PERSON,
    Column,
    Desk,
    Filter,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_words,
    dialog,
    facts,
    heading,
    section,
    subheading,
    table,
)
from libs.common.forms import paper, posted
from libs.common.listing import listing
from libs.common.period import Period
from services.intake.dashboard.words import CHANNELS, DOCUMENTS, OFFICES, OVERDUE, VERDICTS, done


async def archive_checks(desk: Desk) -> None:
    heading("档案抽查", "民政、残联按月随机抽查档案；缺失的材料逐项补全")
    if desk.role in ("civil_affairs", "cdpf"):
        _drawing(desk)
    with section("抽查期限"):
        table(
            [
                Column("area", "地区", show=as_area),
                Column("office", "抽查单位", words=OFFICES),
                Column("drawn_on", "上次抽查"),
                Column("due_on", "期限"),
                Column("overdue", "是否逾期", words=OVERDUE),
            ],
            (await desk.rest.get("/v1/duties", area=desk.place))["items"],
            empty="辖区内还没有申请",
        )
    columns = [
        Column("period", "月份"),
        Column("area", "地区", show=as_area),
        Column("body", "抽查单位"),
        Column("sample_size", "抽查数", numeric=True),
        Column("population", "档案总数", numeric=True),
        Column("seed", "随机种子"),
        Column("drawn_by", "抽查人"),
        Column("drawn_at", "抽取时间", show=as_moment),
    ]
    await listing(
        desk,
        "/v1/archive-checks",
        columns,
        [area_filter(desk)],
        on_open=lambda row: _open(desk, row["archive_check_id"]),
    )


def _drawing(desk: Desk) -> None:
    """A new sample: the same seed draws the same again."""
    today = business_today()
    with section("抽取样本"):
        with ui.row():
            area = ui.input("地区代码", value=desk.area).props("outlined dense")
            period = ui.input("月份", value=str(Period.of(today).previous)).props("outlined dense")
            size = ui.number("抽查数", value=20, min=1, max=1000, format="%d").props("outlined dense")
            seed = ui.input("随机种子", value=today.isoformat()).props("outlined dense")
        refused = ui.column().classes("w-full")

        async def draw() -> None:
            body = {
                "area": area.value,
                "period": period.value,
                "sample_size": int(size.value or 0),
                "seed": seed.value,
            }
            if await posted(desk, "/v1/archive-checks", body, refused):
                done("已抽取")

        ui.button("抽取", icon="casino", on_click=draw).props("unelevated no-caps")


async def _open(desk: Desk, archive_check_id: str) -> None:
    check = await desk.rest.get(f"/v1/archive-checks/{archive_check_id}")
    report = check["report"]
    with dialog(f"{check['period']} 档案抽查"):
        facts(
            [
                ("地区", as_area(check["area"])),
                ("样本", f"{len(check['items'])}／{check['population']}"),
                ("已查", str(report["judged"])),
                ("完整", str(report["complete"])),
                ("缺失", str(report["missing"])),
                ("补全任务", f"{report['tasks_done']}／{report['tasks']}"),
            ]
        )
        columns = [
            Column("receipt_no", "受理编号"),
            Column("area", "户籍地", show=as_area),
            Column("channel", "渠道", show=as_words(CHANNELS)),
            Column("verdict", "结论", words={**VERDICTS, "None": ("待查", "busy")}),
            Column("missing", "缺失材料", show=as_words(DOCUMENTS)),
            Column("judged_by", "检查人"),
        ]
        table(columns, check["items"])
        waiting = [item for item in check["items"] if item["verdict"] is None]
        if waiting and desk.role in ("civil_affairs", "cdpf"):
            await _judging(desk, archive_check_id, waiting[0])


async def _judging(desk: Desk, archive_check_id: str, item: Mapping[str, Any]) -> None:
    """The next archive of the sample: what it holds, and the verdict."""
    archive = await desk.rest.get(f"/v1/applications/{item['application_id']}/archive")
    subheading(f"逐份检查：{as_text(item['receipt_no'])}")
    held = as_words(DOCUMENTS)([document["kind"] for document in archive["items"]])
    facts([("档案中有", held), ("按规定尚缺", as_words(DOCUMENTS)(archive["missing"]))])
    missing = (
        ui.select(
            {kind: name for kind, (name, _) in DOCUMENTS.items()},
            value=list(archive["missing"]),
            label="缺失材料",
            multiple=True,
        )
        .props('outlined dense use-chips aria-label="缺失材料"')
        .classes("w-full")
    )
    refused = ui.column().classes("w-full")

    async def judge(verdict: str) -> None:
        body = {"verdict": verdict, "missing": list(missing.value or []) if verdict == "missing" else []}
        path = f"/v1/archive-checks/{archive_check_id}/items/{item['application_id']}"
        if await posted(desk, path, body, refused):
            done("已记录结论")

    with ui.row():
        ui.button("完整", on_click=lambda: judge("complete")).props("unelevated no-caps")
        ui.button("缺失，发出补全任务", on_click=lambda: judge("missing")).props("outline no-caps")


async def completion_tasks(desk: Desk) -> None:
    heading("档案补全", "抽查发现缺失、待补全的材料")
    columns = [
        Column("receipt_no", "受理编号"),
        PERSON,
        Column("area", "户籍地", show=as_area),
        Column("kind", "缺失材料", show=as_words(DOCUMENTS)),
        Column("due_on", "补全时限"),
        Column("done_on", "补全日期"),
    ]
    filters = [area_filter(desk), Filter("status", "状态", {"open": "待补全", "done": "已补全"})]
    await listing(desk, "/v1/completion-tasks", columns, filters)


async def commitments(desk: Desk) -> None:
    heading("承诺书重签", "政策变化后，需要重新告知并签字的申请")
    columns = [
        Column("receipt_no", "受理编号"),
        PERSON,
        Column("area", "户籍地", show=as_area),
        Column("signed_on", "上次签字"),
        Column("published_on", "现行政策自"),
    ]
    await listing(
        desk,
        "/v1/commitments",
        columns,
        [area_filter(desk)],
        on_open=(lambda row: _sign(desk, row)) if desk.role == "township" else None,
    )


async def _sign(desk: Desk, row: Mapping[str, Any]) -> None:
    """The new letter to print, and the day on which it was signed."""
    path = f"/v1/applications/{row['application_id']}"

    with dialog(f"申请 {as_text(row['receipt_no'])}"):
        paper(desk, "现行政策告知承诺书", f"{path}/papers/commitment", forms=("pdf",))
        signed_on = ui.input("签字日期", value=business_today().isoformat()).props("outlined dense")
        refused = ui.column().classes("w-full")

        async def sign() -> None:
            if await posted(desk, f"{path}/commitment", {"signed_on": signed_on.value}, refused):
                done("已记录签字")

        ui.button("已重新签字", on_click=sign).props("unelevated no-caps")

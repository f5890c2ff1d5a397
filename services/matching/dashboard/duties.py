"""The calendar of duties (职责日历): who has done their part, what is planned, and what is overdue."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from libs.common.clock import business_today
from libs.common.dashboard import (
    Column,
    Desk,
    Filter,
    Refused,
    Words,
    area_filter,
    as_area,
    facts,
    heading,
    options_of,
    problem,
    section,
    table,
)
from libs.common.forms import paper, posted
from libs.common.listing import listing
from libs.common.period import Period

DONE: Words = {"True": ("已完成", "good"), "False": ("未完成", "bad")}
PLANS: Words = {
    "county": ("县级复核", "quiet"),
    "prefecture": ("州市复核", "quiet"),
    "province": ("省级比对", "quiet"),
    "annual": ("年度全员复核", "quiet"),
}
ESCALATIONS: Words = {
    "finding": ("比对发现", "quiet"),
    "monthly_part": ("月度比对", "quiet"),
    "plan": ("计划复核", "quiet"),
    "outreach": ("主动服务", "quiet"),
    "proof_of_life": ("生存验证", "quiet"),
}


PAPERS = {
    "monthly-changes": "月度变动表",
    "certificate-changes": "换证、迁移、冻结清单",
    "expiring-certificates": "残疾人证到期预警表",
    "problems": "问题清单",
    "supervision": "督办单",
    "rectification": "整改台账",
}


async def duties(desk: Desk) -> None:
    heading("职责日历", "每月由民政、残联、乡镇（街道）分三部分比对，6月、12月省级比对，每年至少一次全员复核")
    ui.link("档案抽查的期限见“档案抽查”", "/archive-checks")
    today = business_today()
    area = desk.place

    async def show(text: str) -> None:
        shown.clear()
        with shown:
            try:
                await _month(desk, area, text)
            except Refused as refusal:
                problem(refusal)

    with ui.row().classes("lb-filters"):
        period = ui.input("月份", value=str(Period.of(today).previous)).props("outlined dense").classes("lb-field")
        ui.button("查询", icon="search", on_click=lambda: show(period.value)).props("unelevated no-caps")
        if desk.role == "township":
            _signature(desk, area, period)
    shown = ui.column().classes("w-full")
    await show(period.value)
    with section("复核计划"):
        answer = await desk.rest.get("/v1/duty-plans", area=area, year=today.year)
        table(
            [
                Column("kind", "种类", show=lambda kind: PLANS[kind][0]),
                Column("area", "地区", show=as_area),
                Column("planned_on", "计划日期"),
                Column("due_on", "期限"),
                Column("done_on", "完成日期"),
                Column("override_reason", "例外理由", wide=True),
            ],
            answer["items"],
            empty="本年没有复核计划",
        )
    with section("年度全员复核"):
        review = await desk.rest.get("/v1/annual-reviews", area=area, year=today.year)
        facts(
            [
                ("领取人数", str(review["recipients"])),
                ("已复核", str(review["covered"])),
                ("未复核", str(review["uncovered"])),
            ]
        )
    with section("督办"):
        await listing(
            desk,
            "/v1/escalations",
            [
                Column("kind", "事项", show=lambda kind: ESCALATIONS[kind][0]),
                Column("says", "问题", wide=True),
                Column("area", "责任地区", show=as_area),
                Column("raised_to", "督办地区", show=as_area),
                Column("due_on", "期限"),
                Column("raised_on", "督办日期"),
                Column("closed_on", "销号日期"),
            ],
            [
                area_filter(desk),
                Filter("kind", "事项", options_of(ESCALATIONS)),
                Filter("open", "状态", {"true": "未销号", "false": "已销号"}, initial="true"),
            ],
        )


async def _month(desk: Desk, area: str, period: str) -> None:
    answer = await desk.rest.get("/v1/duties", area=area, period=period)
    with section(f"{answer['period']} 月度比对"):
        ui.label(f"逾期未决定的比对发现 {answer['undecided_findings']} 件").classes("lb-about")
        table(
            [
                Column("name", "县（市、区）"),
                Column("civil_affairs", "民政", words=DONE),
                Column("cdpf", "残联", words=DONE),
                Column("townships", "乡镇（街道）"),
                Column("missing", "缺少", wide=True),
            ],
            [_row(item) for item in answer["items"]],
        )
    with section("表册"):
        _papers(desk, area, answer["period"])


def _papers(desk: Desk, area: str, period: str) -> None:
    for kind, name in PAPERS.items():
        paper(desk, name, f"/v1/papers/{kind}", area=area, period=period)


def _row(item: dict[str, Any]) -> dict[str, Any]:
    signed = sum(township["done"] for township in item["townships"])
    return {
        "name": item["name"],
        "civil_affairs": item["civil_affairs"]["done"],
        "cdpf": item["cdpf"]["done"],
        "townships": f"{signed} / {len(item['townships'])}",
        "missing": "、".join(item["missing"]),
    }


def _signature(desk: Desk, area: str, period: ui.input) -> None:
    refused = ui.column()

    async def sign(changes: bool) -> None:
        body = {"area": area, "period": period.value, "changes": changes}
        if await posted(desk, "/v1/monthly-signoffs", body, refused):
            ui.notify("已签字确认")

    ui.button("签字：无变化", on_click=lambda: sign(False)).props("outline no-caps")
    ui.button("签字：有变化，已报送", on_click=lambda: sign(True)).props("outline no-caps")

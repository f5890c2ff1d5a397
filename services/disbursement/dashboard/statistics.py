"""Statistics (统计报表; notice 4.2): the monthly table, its papers, and its upload to the national system."""

from __future__ import annotations

from nicegui import ui

from libs.common.dashboard import (
    SHORT_SUBSIDIES,
    Column,
    Desk,
    Refused,
    as_area,
    as_moment,
    as_words,
    as_yuan,
    board,
    heading,
    problem,
    section,
    table,
)
from libs.common.forms import Field, form, paper
from services.disbursement.dashboard.words import again, this_month

_COLUMNS = [
    Column("area", "地区", show=as_area),
    Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
    Column("persons_paid", "发放人数", numeric=True),
    Column("months_paid", "人月数", numeric=True),
    Column("paid_fen", "发放金额（元）", show=as_yuan, numeric=True),
    Column("arrears_fen", "其中补发", show=as_yuan, numeric=True),
    Column("persons_new", "新增", numeric=True),
    Column("persons_stopped", "停发", numeric=True),
    Column("held", "暂缓", numeric=True),
    Column("unpayable", "暂不能发放", numeric=True),
    Column("came_back_fen", "失败及退票（元）", show=as_yuan, numeric=True),
    Column("recovered_fen", "追回（元）", show=as_yuan, numeric=True),
]
_BY = {"county": "按县（市、区）", "prefecture": "按州市", "province": "全省"}


async def statistics(desk: Desk) -> None:
    heading("统计报表", "月度统计表、月报、年报和花名册；统计表上传全国系统并留存回执")

    async def show() -> None:
        shown.clear()
        with shown:
            try:
                await _month(desk, area.value or desk.place, period.value, by.value)
            except Refused as refusal:
                problem(refusal)

    with ui.row().classes("lb-filters"):
        area = ui.input("地区代码", value=desk.place).props("outlined dense").classes("lb-field")
        period = ui.input("月份", value=str(this_month())).props("outlined dense").classes("lb-field")
        by = ui.select(_BY, value="county", label="汇总").props('outlined dense aria-label="汇总" behavior=menu')
        by.classes("lb-field")
        ui.button("查询", icon="search", on_click=show).props("unelevated no-caps")
    shown = ui.column().classes("w-full")
    await show()
    with section("上传全国系统"):
        if desk.role == "civil_affairs":
            form(
                desk,
                "/v1/statistics-uploads",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("period", "月份", "month", initial=str(this_month())),
                ],
                button="上传",
                done=again,
            )
        table(
            [
                Column("period", "月份"),
                Column("area", "地区", show=as_area),
                Column("receipt_no", "回执编号"),
                Column("uploaded_by", "经办"),
                Column("uploaded_at", "时间", show=as_moment),
            ],
            (await desk.rest.get("/v1/statistics-uploads"))["items"],
            empty="还没有上传过",
        )


async def _month(desk: Desk, area: str, period: str, by: str) -> None:
    answer = await desk.rest.get("/v1/statistics", area=area, period=period, by=by)
    with board():
        table(_COLUMNS, answer["items"], empty="该月没有发放")
    with section("报表"):
        for kind, name in (("monthly", "月度统计表"), ("yearly", "年报表"), ("ledger", "花名册（台账）")):
            paper(desk, name, f"/v1/papers/{kind}", area=area, period=period)

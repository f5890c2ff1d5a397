"""Work funds (工作经费; notice 6.3): budget, spending, services bought, work done."""

from __future__ import annotations

from libs.common.dashboard import Column, Desk, as_area, as_yuan, board, heading, section, table
from libs.common.forms import Field, form
from services.disbursement.dashboard.words import again, this_month

_KINDS = {"budget": "预算", "spending": "支出", "contract": "购买服务", "workload": "工作量"}


async def work_funds(desk: Desk) -> None:
    heading("工作经费", "工作经费预算与支出、政府购买服务、乡镇（街道）工作量")
    if desk.role == "civil_affairs":
        with section("登记"):
            form(
                desk,
                "/v1/work-funds",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("year", "年度", "number", initial=str(this_month().year)),
                    Field("kind", "类别", options=_KINDS),
                    Field("title", "事项"),
                    Field("counterparty", "承接单位（购买服务）", required=False),
                    Field("amount_fen", "金额（元）", "yuan", required=False),
                    Field("quantity", "件数（工作量）", "number", required=False),
                    Field("document_no", "文号或凭证号"),
                ],
                button="登记",
                done=again,
            )
    answer = await desk.rest.get("/v1/work-funds", area=desk.place, year=this_month().year)
    with board():
        table(
            [
                Column("area", "地区", show=as_area),
                Column("budget_fen", "预算（元）", show=as_yuan, numeric=True),
                Column("spent_fen", "支出（元）", show=as_yuan, numeric=True),
                Column("left_fen", "结余（元）", show=as_yuan, numeric=True),
                Column("contracted_fen", "购买服务（元）", show=as_yuan, numeric=True),
                Column("workload", "工作量（件）", numeric=True),
            ],
            answer["by_area"],
            empty="本年没有登记",
        )
    with section("明细"):
        table(
            [
                Column("area", "地区", show=as_area),
                Column("kind", "类别", show=lambda kind: _KINDS[kind]),
                Column("title", "事项", wide=True),
                Column("counterparty", "承接单位"),
                Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
                Column("quantity", "件数", numeric=True),
                Column("document_no", "文号或凭证号"),
                Column("recorded_by", "经办"),
            ],
            answer["items"],
            empty="本年没有登记",
        )

"""Cycles (发放批次): drawn up, concurred, approved and submitted by the roles that may, with their papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    PERSON,
    SHORT_SUBSIDIES,
    SUBSIDIES,
    Column,
    Desk,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_words,
    as_yuan,
    dialog,
    facts,
    heading,
    options_of,
    section,
    subheading,
    table,
    word,
)
from libs.common.forms import Field, deed, form, paper
from libs.common.listing import listing
from services.disbursement.dashboard.words import (
    CYCLE_STATUSES,
    OUTCOMES,
    again,
    period_filter,
    status_filter,
    this_month,
)

COUNTS = {
    "payable": "应发笔数",
    "held": "暂缓笔数",
    "overdue": "其中核实逾期未决定",
    "unpayable": "无法发放笔数",
    "dropped": "提交前剔除笔数",
    "sent": "在途笔数",
    "settled": "到账笔数",
    "failed": "失败笔数",
    "returned": "退回笔数",
}
PAPERS = {
    "funds-application": "资金申请表",
    "concurrence": "发放会签单",
    "roster": "发放花名册",
    "voucher": "资金拨付凭证",
    "bank-list": "代发清单",
    "returns": "发放退回清单",
    "reissues": "重新发放清单",
}


OVERDUE = {"True": ("逾期未决定", "bad"), "False": ("—", "quiet")}


async def cycles(desk: Desk) -> None:
    heading("发放批次", "民政编制、残联会签、财政审批并提交；每月每县每项补贴一批")
    if desk.role == "civil_affairs":
        with section("编制发放批次"):
            form(
                desk,
                "/v1/cycles",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("period", "发放月份", "month", initial=str(this_month())),
                    Field("subsidy", "补贴项目", options={"": "两项", **options_of(SUBSIDIES)}, required=False),
                    Field("channel", "发放渠道", options={"rest": "联网直连", "file": "代发文件"}),
                    Field("overdue_reason", "逾期未核实的续缓理由", required=False),
                ],
                button="编制",
                done=again,
            )
    await listing(
        desk,
        "/v1/cycles",
        [
            Column("period", "月份"),
            Column("area", "地区", show=as_area),
            Column("subsidy", "补贴", show=lambda value: SHORT_SUBSIDIES[value][0] if value else "两项"),
            Column("status", "状态", words=CYCLE_STATUSES),
            Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
            Column("settled_fen", "已到账（元）", show=as_yuan, numeric=True),
            Column("counts", "应发 / 暂缓 / 无法发放（笔）", show=_three_counts, numeric=True),
        ],
        [area_filter(desk), period_filter(), status_filter(CYCLE_STATUSES)],
        on_open=lambda row: _open_cycle(desk, row),
    )
    await _schedules(desk)


def _three_counts(counts: Mapping[str, int]) -> str:
    return f"{counts['payable']} / {counts['held']} / {counts['unpayable']}"


async def _open_cycle(desk: Desk, row: Mapping[str, Any]) -> None:
    path = f"/v1/cycles/{row['cycle_id']}"
    cycle = await desk.rest.get(path)
    not_paid = [
        item
        for outcome in ("held", "unpayable", "dropped")
        for item in (await desk.rest.get(f"{path}/items", outcome=outcome))["items"]
    ]
    with dialog(f"{cycle['period']} 发放批次"):
        with ui.row():
            word(cycle["status"], CYCLE_STATUSES)
            if cycle["waiting_since"]:
                ui.label(f"已要求提交（{as_moment(cycle['waiting_since'])}），等待各部门数据到齐").classes("lb-about")
        if cycle["refused_because"]:
            ui.label(f"上次提交未成功：{cycle['refused_because']}").classes("lb-word lb-bad")
        _show_facts(cycle)
        _steps(desk, cycle, path)
        if not_paid:
            subheading("未发放及原因")
            table(
                [
                    PERSON,
                    Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
                    Column("period", "月份"),
                    Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
                    Column("outcome", "处理", words=OUTCOMES),
                    Column("says", "原因", wide=True),
                    Column("overdue", "核实", words=OVERDUE),
                ],
                not_paid,
            )
        subheading("单据")
        for kind, name in PAPERS.items():
            if kind != "bank-list" or desk.role == "finance":
                paper(desk, name, f"{path}/papers/{kind}")


def _show_facts(cycle: Mapping[str, Any]) -> None:
    facts(
        [
            ("地区", as_area(cycle["area"])),
            ("金额（元）", as_yuan(cycle["amount_fen"])),
            ("已到账（元）", as_yuan(cycle["settled_fen"])),
            ("民政编制", as_text(cycle["created_by"])),
            ("残联会签", as_text(cycle["concurred_by"])),
            ("财政审批", as_text(cycle["approved_by"])),
            ("提交银行", as_moment(cycle["submitted_at"])),
            ("银行回盘", as_moment(cycle["settled_at"])),
            ("对账关闭", as_moment(cycle["closed_at"])),
            *((name, as_text(cycle["counts"][key])) for key, name in COUNTS.items()),
        ]
    )


def _steps(desk: Desk, cycle: Mapping[str, Any], path: str) -> None:
    """The next step, for the role whose step it is."""
    with ui.row():
        match cycle["status"], desk.role:
            case "draft", "cdpf":
                deed(desk, "会签", f"{path}/concurrence", done=again)
            case "concurred", "finance":
                deed(desk, "审批", f"{path}/approval", done=again)
            case "approved", "finance" if not cycle["waiting_since"]:
                deed(desk, "提交银行", f"{path}/submission", done=again, sure="提交后不能撤回，确定提交银行发放？")
            case _:
                pass
        if cycle["status"] in ("draft", "concurred", "approved") and desk.role == "civil_affairs":
            deed(desk, "撤销批次", path, done=again, sure="撤销后应发金额回到待发，确定撤销？", method="delete")


async def _schedules(desk: Desk) -> None:
    with section("发放日"):
        ui.label("每月发放日之前未到账的县（市、区），在“对账与问题”中列为逾期未发放。").classes("lb-about")
        table(
            [
                Column("area", "地区", show=as_area),
                Column("pay_by_day", "每月几日前", numeric=True),
                Column("set_by", "设定人"),
            ],
            (await desk.rest.get("/v1/payment-schedules"))["items"],
            empty="尚未设定发放日",
        )
        if desk.role == "civil_affairs":
            form(
                desk,
                "/v1/payment-schedules",
                [Field("area", "县级地区", initial=desk.place), Field("pay_by_day", "每月几日前（1-28）", "number")],
                button="设定发放日",
                done=again,
            )

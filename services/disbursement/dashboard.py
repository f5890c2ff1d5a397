"""Disbursement in the console: monthly cycles, payments with what the bank said, recoveries, each person's account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    PERSON,
    SHORT_SUBSIDIES,
    Column,
    Desk,
    Filter,
    Page,
    Panel,
    Words,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_words,
    as_yuan,
    facts,
    heading,
    listing,
    options_of,
    table,
    word,
)

CYCLE_STATUSES: Words = {
    "draft": ("已编制", "busy"),
    "concurred": ("残联已会签", "busy"),
    "approved": ("财政已审批", "busy"),
    "submitted": ("已提交银行", "busy"),
    "settled": ("银行已回盘", "good"),
    "closed": ("已对账关闭", "good"),
}
PAYMENT_STATUSES: Words = {
    "pending": ("待发送", "quiet"),
    "sent": ("在途", "busy"),
    "settled": ("已到账", "good"),
    "failed": ("失败", "bad"),
    "returned": ("退回", "bad"),
}
CODES: dict[str, str] = {
    "not_found": "账户不存在",
    "name_mismatch": "户名不符",
    "closed": "账户已销户",
    "dormant": "账户为睡眠户",
    "not_activated": "账户未激活",
    "lost": "账户已挂失",
    "credit_blocked": "账户止入",
    "id_expired": "证件已过期",
    "limit_exceeded": "超过限额",
    "fraud_control": "涉案管控",
    "holder_dead": "持卡人已死亡",
    "wrong_bank": "非本行账户",
}
RECOVERY_STATUSES: Words = {"open": ("追回中", "busy"), "closed": ("已结案", "good")}


COUNTS = {
    "payable": "应发笔数",
    "held": "暂缓笔数",
    "unpayable": "无法发放笔数",
    "dropped": "提交前剔除笔数",
    "sent": "在途笔数",
    "settled": "到账笔数",
    "failed": "失败笔数",
    "returned": "退回笔数",
}


async def cycles(desk: Desk) -> None:
    heading("发放批次", "民政编制、残联会签、财政审批并提交；每月每县每项补贴一批")
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
        [area_filter(desk), Filter("period", "月份", hint="例如 2026-03"), _status_filter(CYCLE_STATUSES)],
        on_open=lambda row: _open_cycle(desk, row),
    )


def _three_counts(counts: Mapping[str, int]) -> str:
    return f"{counts['payable']} / {counts['held']} / {counts['unpayable']}"


async def _open_cycle(desk: Desk, row: Mapping[str, Any]) -> None:
    cycle = await desk.rest.get(f"/v1/cycles/{row['cycle_id']}")
    counts = cycle.get("counts", {})
    with ui.dialog() as dialog, ui.card().classes("lb-dialog"):
        ui.label(f"{cycle['period']} 发放批次").classes("lb-section")
        word(cycle["status"], CYCLE_STATUSES)
        facts(
            [
                ("地区", as_area(cycle.get("area"))),
                ("金额（元）", as_yuan(cycle.get("amount_fen"))),
                ("已到账（元）", as_yuan(cycle.get("settled_fen"))),
                ("民政编制", as_text(cycle.get("created_by"))),
                ("残联会签", as_text(cycle.get("concurred_by"))),
                ("财政审批", as_text(cycle.get("approved_by"))),
                ("提交银行", as_moment(cycle.get("submitted_at"))),
                ("银行回盘", as_moment(cycle.get("settled_at"))),
                ("对账关闭", as_moment(cycle.get("closed_at"))),
                *((name, as_text(counts.get(key))) for key, name in COUNTS.items()),
            ]
        )
        ui.button("关闭", on_click=dialog.close).props("flat no-caps")
    dialog.open()


_PAYMENT_COLUMNS = [
    Column("period", "月份"),
    Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
    Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
    Column("status", "状态", words=PAYMENT_STATUSES),
    Column("code", "银行说明", show=lambda code: CODES.get(code, as_text(code))),
    Column("settled_on", "到账日期"),
]


async def payments(desk: Desk) -> None:
    heading("发放明细", "每人每月每项补贴一笔，含银行回执；失败或退回的，更正账户后重新发放")
    await listing(
        desk,
        "/v1/payments",
        [PERSON, Column("area", "地区", show=as_area), *_PAYMENT_COLUMNS],
        [area_filter(desk), Filter("period", "月份", hint="例如 2026-03"), _status_filter(PAYMENT_STATUSES)],
    )


async def recoveries(desk: Desk) -> None:
    heading("追回", "每一笔多发都有案件：原因、月份、金额和已追回数")
    await listing(
        desk,
        "/v1/recoveries",
        [
            PERSON,
            Column("area", "地区", show=as_area),
            Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
            Column("cause", "原因"),
            Column("amount_fen", "应追回（元）", show=as_yuan, numeric=True),
            Column("recovered_fen", "已追回（元）", show=as_yuan, numeric=True),
            Column("status", "状态", words=RECOVERY_STATUSES),
        ],
        [area_filter(desk)],
    )


async def person_account(desk: Desk, person_id: str) -> None:
    """Per subsidy and month: entitled, paid, in flight, held, owed, overpaid."""
    account = await desk.rest.get(f"/v1/persons/{person_id}/account")
    table(
        [
            Column("period", "月份"),
            Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
            Column("entitled_fen", "应发", show=as_yuan, numeric=True),
            Column("paid_fen", "已发", show=as_yuan, numeric=True),
            Column("in_flight_fen", "在途", show=as_yuan, numeric=True),
            Column("held_fen", "暂缓", show=as_yuan, numeric=True),
            Column("owed_fen", "欠发", show=as_yuan, numeric=True),
            Column("overpaid_fen", "多发", show=as_yuan, numeric=True),
        ],
        account["items"],
        empty="没有发放记录",
    )


async def person_payments(desk: Desk, person_id: str) -> None:
    answer = await desk.rest.get(f"/v1/persons/{person_id}/payments")
    table(_PAYMENT_COLUMNS, answer["items"], empty="没有发放记录")


def _status_filter(words: Words) -> Filter:
    return Filter("status", "状态", options_of(words))


PAGES = [
    Page("/cycles", "发放批次", "event_repeat", cycles),
    Page("/payments", "发放明细", "payments", payments),
    Page("/recoveries", "追回", "undo", recoveries),
]
PERSON_PANELS = [Panel("应发与已发（元）", person_account), Panel("发放明细", person_payments)]

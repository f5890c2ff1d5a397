"""Intake in the console: the applications of an area, each with its stages and what eligibility assesses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    SHORT_SUBSIDIES,
    SUBSIDIES,
    Column,
    Desk,
    Filter,
    Page,
    Panel,
    Words,
    area_filter,
    as_area,
    as_text,
    as_words,
    as_yuan,
    facts,
    heading,
    listing,
    options_of,
    table,
    timeline,
    word,
)

STATUSES: Words = {
    "submitted": ("已提交", "busy"),
    "in_review": ("审核中", "busy"),
    "returned": ("退回补正", "bad"),
    "approved": ("已批准", "good"),
    "rejected": ("不予批准", "bad"),
    "withdrawn": ("已撤回", "quiet"),
}
STAGES: Words = {
    "township": ("乡镇（街道）初审", "quiet"),
    "cdpf": ("残联审核", "quiet"),
    "civil_affairs": ("民政审定", "quiet"),
}
CHANNELS: Words = {
    "counter": ("窗口", "quiet"),
    "online": ("网上", "quiet"),
    "cross_province": ("跨省通办", "quiet"),
    "one_thing": ("一件事一次办", "quiet"),
}
OUTCOMES: Words = {"pass": ("符合", "good"), "fail": ("不符合", "bad"), "not_applicable": ("不适用", "quiet")}

_COLUMNS = [
    Column("receipt_no", "受理编号"),
    Column("name", "姓名", link="/persons/{person_id}"),
    Column("area", "户籍地", show=as_area),
    Column("subsidies", "申请补贴", show=as_words(SHORT_SUBSIDIES)),
    Column("applied_on", "申请日期"),
    Column("channel", "渠道", show=as_words(CHANNELS)),
    Column("status", "状态", words=STATUSES),
    Column("stage", "当前环节", show=as_words(STAGES)),
    Column("due_on", "办理时限"),
]


async def applications(desk: Desk) -> None:
    heading("申请受理", "乡镇（街道）初审、残联审核、民政审定")
    await listing(
        desk,
        "/v1/applications",
        _COLUMNS,
        [
            area_filter(desk),
            Filter("status", "状态", options_of(STATUSES)),
            Filter("channel", "渠道", options_of(CHANNELS)),
            Filter("overdue", "时限", {"true": "已超期", "false": "未超期"}),
        ],
        on_open=lambda row: _open(desk, row),
    )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    application = await desk.rest.get(f"/v1/applications/{row['application_id']}")
    with ui.dialog() as dialog, ui.card().classes("lb-dialog"):
        ui.label(f"申请 {as_text(application.get('receipt_no'))}").classes("lb-section")
        word(application["status"], STATUSES)
        facts(
            [
                ("户籍地", as_area(application.get("area"))),
                ("申请补贴", as_words(SUBSIDIES)(application.get("subsidies"))),
                ("申请日期", as_text(application.get("applied_on"))),
                ("渠道", as_words(CHANNELS)(application.get("channel"))),
                ("当前环节", as_words(STAGES)(application.get("stage"))),
                ("办理时限", as_text(application.get("due_on"))),
                ("批准", as_words(SUBSIDIES)(application.get("granted") or [])),
            ]
        )
        _assessment(application.get("assessment"))
        ui.button("关闭", on_click=dialog.close).props("flat no-caps")
    dialog.open()


def _assessment(assessment: Mapping[str, Any] | None) -> None:
    if not assessment:
        ui.label("尚无资格认定结果").classes("lb-about")
        return
    for decision in assessment.get("decisions", []):
        amount = f"，每月 {as_yuan(decision['amount_fen'])} 元" if decision["eligible"] else ""
        verdict = "符合" if decision["eligible"] else "不符合"
        ui.label(f"{SUBSIDIES[decision['subsidy']][0]}：{verdict}{amount}").classes("lb-section")
        table(
            [
                Column("detail", "依据事实", wide=True),
                Column("outcome", "结论", words=OUTCOMES),
                Column("citation", "条款", wide=True),
            ],
            decision["reasons"],
        )


PAGES = [Page("/applications", "申请受理", "description", applications)]
PERSON_PANELS = [Panel("申请与审批", timeline)]

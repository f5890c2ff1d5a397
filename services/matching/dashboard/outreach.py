"""Outreach (主动服务): who is to be told of the subsidies, and what became of it."""

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
    Words,
    area_filter,
    as_area,
    as_text,
    as_words,
    dialog,
    facts,
    heading,
    options_of,
    word,
)
from libs.common.forms import Field, form
from libs.common.listing import listing
from libs.common.vocabulary import in_chinese

STATUSES: Words = {
    "identified": ("待初筛", "busy"),
    "reminding": ("提醒发送中", "busy"),
    "task": ("待电话、入户", "busy"),
    "reminded": ("已提醒，待申请", "busy"),
    "applied": ("已申请", "good"),
    "lapsed": ("视为自愿放弃", "quiet"),
    "closed": ("已结束", "quiet"),
}

BECAUSE: Words = {
    "entered_low_income": ("新纳入低保", "quiet"),
    "certified": ("新办残疾人证", "quiet"),
    "qualifies_again": ("重新符合条件", "quiet"),
}

_METHODS = {"phone": "电话", "visit": "入户走访", "letter": "政策告知书", "video": "视频", "sms": "短信"}
_OUTCOMES = {
    "reminded": "已提醒告知",
    "facts_corrected": "信息已更正，重新初筛",
    "not_eligible": "经核实不符合条件",
    "declined": "本人表示不申请",
    "unreachable": "联系不上，继续联系",
}


async def outreach(desk: Desk) -> None:
    heading("主动服务", "三个月内提醒告知；按期提醒后仍未申请的视为自愿放弃，未按期提醒是部门的责任，不得视为放弃")
    await listing(
        desk,
        "/v1/outreach",
        [
            PERSON,
            Column("area", "地区", show=as_area),
            Column("because", "事由", show=as_words(BECAUSE)),
            Column("status", "状态", words=STATUSES),
            Column("eligible", "初筛符合", show=as_words(SHORT_SUBSIDIES)),
            Column("remind_by", "提醒期限"),
            Column("reminded_on", "提醒日期"),
            Column("lapses_after", "申请期限"),
            Column("alarm_since", "逾期未提醒"),
        ],
        [
            area_filter(desk),
            Filter("status", "状态", options_of(STATUSES)),
            Filter("alarm", "提醒", {"true": "逾期未提醒", "false": "未逾期"}),
        ],
        on_open=lambda row: _open(desk, row),
    )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    case = await desk.rest.get(f"/v1/outreach/{row['outreach_id']}")
    with dialog(as_words(BECAUSE)(case["because"])):
        word(case["status"], STATUSES)
        facts(
            [
                ("地区", as_area(case["area"])),
                ("事由发生日期", as_text(case["began_on"])),
                ("发现日期", as_text(case["identified_on"])),
                ("提醒期限", as_text(case["remind_by"])),
                ("初筛日期", as_text(case["prescreened_on"])),
                ("提醒日期", as_text(case["reminded_on"])),
                ("提醒方式", _METHODS.get(case["reminded_by"], "—")),
                ("申请期限", as_text(case["lapses_after"])),
                ("电话、入户期限", as_text(case["task_due_on"])),
                ("申请日期", as_text(case["applied_on"])),
                ("说明", as_text(case["note"])),
            ]
        )
        for decision in case["decisions"] or []:
            for reason in decision["reasons"]:
                if reason["outcome"] == "fail":
                    subsidy = as_words(SHORT_SUBSIDIES)(decision["subsidy"])
                    ui.label(f"{subsidy}：{in_chinese(reason['detail'])}").classes("lb-about")
        open_case = case["status"] in ("identified", "reminding", "task", "reminded")
        if open_case and desk.role in ("township", "civil_affairs", "cdpf"):
            _outcome(desk, case)


def _outcome(desk: Desk, case: Mapping[str, Any]) -> None:
    form(
        desk,
        f"/v1/outreach/{case['outreach_id']}/outcome",
        [
            Field("outcome", "结果", options=_OUTCOMES, initial="reminded"),
            Field("method", "方式", options=_METHODS, initial="phone"),
            Field("note", "说明", required=False),
        ],
        button="记录",
        done=ui.navigate.reload,
    )

"""Persons in the console: changes that wait for a second person, objections, and intake's part of one person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    SHORT_SUBSIDIES,
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
    options_of,
    subheading,
    table,
    timeline,
)
from libs.common.forms import Field, form, posted
from libs.common.listing import listing
from services.intake.dashboard.words import CHANGE_STATUSES, CHANGES, STATUSES, done

_OBJECTIONS = {"open": ("待答复", "busy"), "upheld": ("支持", "good"), "dismissed": ("不支持", "quiet")}


async def changes(desk: Desk) -> None:
    heading("变更审批", "收款账户、监护人和身份证号的变更：一人提出，另一人批准后生效")
    await listing(
        desk,
        "/v1/changes",
        [
            Column("kind", "变更事项", show=as_words(CHANGES)),
            Column("name", "姓名", link="/persons/{person_id}"),
            Column("area", "户籍地", show=as_area),
            Column("says", "变更为", wide=True),
            Column("effective_on", "生效日期"),
            Column("proposed_by", "提出人"),
            Column("proposed_at", "提出时间", show=as_moment),
            Column("status", "状态", words=CHANGE_STATUSES),
        ],
        [area_filter(desk), Filter("status", "状态", options_of(CHANGE_STATUSES), initial="pending")],
        on_open=lambda row: _open(desk, row),
    )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    with dialog(f"{as_words(CHANGES)(row['kind'])}变更"):
        facts(
            [
                ("姓名", as_text(row["name"])),
                ("户籍地", as_area(row["area"])),
                ("变更为", as_text(row["says"])),
                ("与部门数据不一致", as_text("；".join(row["against"]))),
                ("生效日期", as_text(row["effective_on"])),
                ("提出人", as_text(row["proposed_by"])),
                ("批准人", as_text(row["approved_by"])),
                ("审批理由", as_text(row["reason"])),
            ]
        )
        if row["status"] == "pending" and desk.role == "civil_affairs":
            _decision(desk, row["change_id"])


def _decision(desk: Desk, change_id: str) -> None:
    reason = ui.input("理由（不批准，或与部门数据不一致仍批准的）").props("outlined dense").classes("w-full")
    refused = ui.column().classes("w-full")

    async def approve() -> None:
        if await posted(desk, f"/v1/changes/{change_id}/approval", {"reason": reason.value or None}, refused):
            done("已生效")

    async def reject() -> None:
        body = {"reason": reason.value or ""}
        if await posted(desk, f"/v1/changes/{change_id}/rejection", body, refused):
            done("已退回")

    with ui.row():
        ui.button("批准", on_click=approve).props("unelevated no-caps")
        ui.button("不批准", on_click=reject).props("outline no-caps")


async def objections(desk: Desk) -> None:
    heading("复核申请", "对审核结果或停发有异议的，由未参与过的工作人员答复")
    await listing(
        desk,
        "/v1/objections",
        [
            Column("text", "异议", wide=True),
            Column("area", "户籍地", show=as_area),
            Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
            Column("period", "月份"),
            Column("filed_on", "提出日期"),
            Column("due_on", "答复期限"),
            Column("status", "状态", words=_OBJECTIONS),
            Column("handle_by", "核定期限"),
            Column("handled_on", "核定日期"),
        ],
        [
            area_filter(desk),
            Filter("status", "状态", options_of(_OBJECTIONS), initial="open"),
            Filter("to_handle", "重新核定", {"true": "待核定"}),
        ],
        on_open=lambda row: _answer(desk, row),
    )


async def _answer(desk: Desk, row: Mapping[str, Any]) -> None:
    with dialog("复核申请"):
        facts(
            [
                ("异议", as_text(row["text"])),
                ("答复期限", as_text(row["due_on"])),
                ("答复", as_text(row["reason"])),
                ("核定期限", as_text(row["handle_by"])),
                ("核定结果", as_text(row["handling"])),
            ]
        )
        if row["status"] == "open" and desk.role == "civil_affairs":
            _verdict(desk, row["objection_id"])
        elif row["handle_by"] and not row["handled_on"] and desk.role == "civil_affairs":
            path, result = f"/v1/objections/{row['objection_id']}/handling", Field("handling", "核定结果")
            form(desk, path, [result], button="办结", done=lambda: done("已办结"))


def _verdict(desk: Desk, objection_id: str) -> None:
    reason = ui.input("答复").props("outlined dense").classes("w-full")
    refused = ui.column().classes("w-full")

    async def decide(outcome: str) -> None:
        body = {"outcome": outcome, "reason": reason.value or ""}
        if await posted(desk, f"/v1/objections/{objection_id}/decision", body, refused):
            done("已答复")

    with ui.row():
        ui.button("支持", on_click=lambda: decide("upheld")).props("unelevated no-caps")
        ui.button("不支持", on_click=lambda: decide("dismissed")).props("outline no-caps")


async def person(desk: Desk, person_id: str) -> None:
    """Who is paid for the person, what they applied for, and the story."""
    known = await desk.rest.get(f"/v1/persons/{person_id}")
    account, guardian = known["account"], known["guardian"]
    facts(
        [
            ("姓名", as_text(known["name"])),
            ("身份证号", as_text(known["id_number"])),
            ("联系电话", as_text(known["phone"])),
            ("户籍地", as_area(known["area"])),
            ("行为能力", "不能辨别自身行为" if known["cannot_act"] else "—"),
            ("收款账户", f"{as_text(account['bank'])} {as_text(account['number'])}" if account else "—"),
            ("监护人", as_text(guardian["name"]) if guardian else "—"),
        ]
    )
    applied = [
        Column("receipt_no", "受理编号"),
        Column("subsidies", "申请补贴", show=as_words(SHORT_SUBSIDIES)),
        Column("applied_on", "申请日期"),
        Column("status", "状态", words=STATUSES),
        Column("granted", "批准", show=as_words(SHORT_SUBSIDIES)),
        Column("documents", "材料数", numeric=True),
    ]
    table(applied, known["applications"], empty="没有申请")
    if known["changes"]:
        subheading("变更")
        proposed = [
            Column("kind", "变更事项", show=as_words(CHANGES)),
            Column("effective_on", "生效日期"),
            Column("proposed_by", "提出人"),
            Column("approved_by", "批准人"),
            Column("status", "状态", words=CHANGE_STATUSES),
        ]
        table(proposed, known["changes"])
    subheading("经过")
    await timeline(desk, person_id)

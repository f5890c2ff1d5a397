"""Intake in the console: the applications of an area, each with its stages and what eligibility assesses."""

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
    "roster": ("存量接管", "quiet"),
}
OUTCOMES: Words = {"pass": ("符合", "good"), "fail": ("不符合", "bad"), "not_applicable": ("不适用", "quiet")}

STEPS: Words = {
    "forward": ("待受理地转办", "busy"),
    "decide": ("户籍地办理中", "busy"),
    "tell": ("待告知结果", "busy"),
    "done": ("已告知", "good"),
}
FIELDS: Words = {
    "name": ("姓名", "quiet"),
    "area": ("户籍地", "quiet"),
    "certificate": ("残疾人证", "quiet"),
    "low_income": ("经济状况", "quiet"),
}
LIKENESS: Words = {
    "phone": ("电话相同", "bad"),
    "account": ("账户相同", "bad"),
    "name_and_birth": ("姓名和出生日期相同", "bad"),
}
DOCUMENTS: Words = {
    "id_card": ("身份证", "quiet"),
    "certificate": ("残疾人证", "quiet"),
    "commitment": ("政策告知承诺书", "quiet"),
    "choice": ("择高声明", "quiet"),
    "account": ("社会保障卡或账户", "quiet"),
    "guardianship": ("监护关系证明", "quiet"),
    "incapacity": ("行为能力认定", "quiet"),
    "photo": ("照片", "quiet"),
    "other": ("其他", "quiet"),
}
ESCALATED: Words = {
    "review": ("审核", "bad"),
    "forwarding": ("跨省通办", "bad"),
    "transfer": ("迁移接收", "bad"),
    "objection": ("复核申请", "bad"),
    "completion": ("档案补全", "bad"),
}

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
        _look_twice(application)
        _assessment(application.get("assessment"))
        ui.button("关闭", on_click=dialog.close).props("flat no-caps")
    dialog.open()


def _look_twice(application: Mapping[str, Any]) -> None:
    """What a reviewer should not overlook: contradictions, look-alikes, matters that came along, clocks."""
    if forwarding := application.get("forwarding"):
        step, due_on = STEPS[forwarding["step"]][0], as_text(forwarding.get("due_on"))
        accepted_area = as_area(forwarding["accepted_area"])
        facts([("受理地", accepted_area), ("跨省通办", step), ("本环节时限", due_on)])
    if conflicts := application.get("conflicts"):
        ui.label("信息不一致").classes("lb-section")
        shown = [
            Column("field", "事项", show=as_words(FIELDS)),
            Column("declared", "本次申报", wide=True),
            Column("known", "已有信息", wide=True),
            Column("known_from", "来源", wide=True),
        ]
        table(shown, conflicts)
    if alike := application.get("look_alikes"):
        ui.label("疑似同一人或共用账户").classes("lb-section")
        table(
            [PERSON, Column("area", "户籍地", show=as_area), Column("because", "原因", show=as_words(LIKENESS))], alike
        )
    if matters := application.get("matters"):
        ui.label("一并申办事项").classes("lb-section")
        table([Column("kind", "事项"), Column("reference_no", "编号"), Column("detail", "说明", wide=True)], matters)


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


async def escalations(desk: Desk) -> None:
    heading("超期督办", "超过办理时限、已提请上级督办的事项")
    columns = [
        Column("kind", "事项", words=ESCALATED),
        Column("area", "责任地区", show=as_area),
        Column("escalated_to", "督办地区", show=as_area),
        Column("due_on", "应办结日期"),
        Column("escalated_on", "督办日期"),
        Column("resolved_on", "销号日期"),
    ]
    filters = [area_filter(desk), Filter("open", "状态", {"true": "未办结", "false": "已办结"})]
    await listing(desk, "/v1/escalations", columns, filters)


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


IMPORTS: Words = {"reading": ("正在读取", "busy"), "judging": ("正在认定", "busy"), "finished": ("已接管", "good")}
REJECTS: Words = {
    "invalid": ("内容有误", "bad"),
    "known": ("系统已有", "quiet"),
    "refused": ("政策不符", "bad"),
}


async def roster_imports(desk: Desk) -> None:
    heading("存量接管", "现有发放花名册逐行核验、按政策认定；以往已发月份作为期初，不再重发")
    columns = [
        Column("imported_at", "导入时间", show=as_moment),
        Column("area", "地区", show=as_area),
        Column("status", "状态", words=IMPORTS),
        Column("read", "已读行数"),
        Column("rows", "总行数"),
        Column("granted", "接管"),
        Column("refused", "政策不符"),
        Column("known", "系统已有"),
        Column("rejected", "内容有误"),
        Column("imported_by", "导入人"),
    ]
    await listing(desk, "/v1/roster-imports", columns, [area_filter(desk)], on_open=lambda row: _open_import(desk, row))


async def _open_import(desk: Desk, row: Mapping[str, Any]) -> None:
    """The report: each row that was not taken over, or not in full, with the reason."""
    path = f"/v1/roster-imports/{row['import_id']}"
    report = await desk.rest.get(path)
    columns = [
        Column("row", "行"),
        Column("field", "栏目或补贴"),
        Column("kind", "类别", words=REJECTS),
        Column("reason", "原因", wide=True),
    ]
    with ui.dialog() as dialog, ui.card().classes("lb-dialog"):
        ui.label(as_area(report["area"])).classes("lb-section")
        word(report["status"], IMPORTS)
        facts(
            [
                ("待认定", as_text(report["waiting"])),
                ("接管", as_text(report["granted"])),
                ("完成时间", as_moment(report["finished_at"])),
                ("摘要（SHA-256）", report["digest"]),
            ]
        )
        await listing(desk, f"{path}/rejects", columns, empty="全部接管，没有退回的行")
        ui.button("关闭", on_click=dialog.close).props("flat no-caps")
    dialog.open()


PAGES = [
    Page("/applications", "申请受理", "description", applications),
    Page("/escalations", "超期督办", "alarm", escalations),
    Page("/completion-tasks", "档案补全", "inventory_2", completion_tasks),
    Page("/roster-imports", "存量接管", "move_to_inbox", roster_imports),
]
PERSON_PANELS = [Panel("申请与审批", timeline)]

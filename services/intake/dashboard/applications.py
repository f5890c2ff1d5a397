"""Applications in the console: what waits for whom until when, and one application whole with what can be done."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Any

from nicegui import ui

from libs.common.clock import business_today
from libs.common.dashboard import (
    PERSON,
    SHORT_SUBSIDIES,
    SUBSIDIES,
    Column,
    Desk,
    Filter,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_words,
    as_yuan,
    dialog,
    facts,
    fill,
    heading,
    options_of,
    subheading,
    table,
    word,
)
from libs.common.forms import choice, paper, posted, sending_file
from libs.common.listing import listing
from libs.common.period import Period
from libs.common.vocabulary import in_chinese
from services.intake.dashboard.words import (
    CHANNELS,
    DOCUMENTS,
    ESCALATED,
    FIELDS,
    LIKENESS,
    OUTCOMES,
    PAPERS,
    REVIEWED,
    STAGES,
    STATUSES,
    STEPS,
    done,
)

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
    Column("overdue", "时限", words={"True": ("已超期", "bad"), "False": ("—", "quiet")}),
]


async def work(desk: Desk) -> None:
    heading("待办申请", f"等待{STAGES[desk.role][0]}的申请，时限先到的在前")
    await listing(
        desk,
        "/v1/applications",
        _COLUMNS,
        [
            area_filter(desk),
            Filter("stage", "环节", options_of(STAGES), initial=desk.role),
            Filter("order", "排序", {"due": "时限先到的在前"}, initial="due"),
            Filter("overdue", "时限", {"true": "已超期", "false": "未超期"}),
        ],
        on_open=lambda row: _open(desk, row["application_id"]),
    )


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
        on_open=lambda row: _open(desk, row["application_id"]),
    )
    if desk.role in ("township", "civil_affairs") and desk.area:
        subheading("公示")
        this = Period.of(business_today())
        for period in (this, this.previous):
            paper(desk, f"{period}新批准人员公示", "/v1/public-list", area=desk.area, period=period)


async def _open(desk: Desk, application_id: str) -> None:
    application = await desk.rest.get(f"/v1/applications/{application_id}")
    papers = await desk.rest.get(f"/v1/applications/{application_id}/papers")
    with dialog(f"申请 {as_text(application['receipt_no'])}"):
        word(application["status"], STATUSES)
        facts(_facts(application))
        _look_twice(application)
        _assessment(application["assessment"])
        _opinions(application["reviews"])
        if desk.role in ("township", "cdpf", "civil_affairs", "auditor"):
            await _archive(desk, application_id)
        _papers(desk, application_id, papers)
        if application["stage"] == desk.role and application["status"] in ("submitted", "in_review"):
            _review(desk, application)
        if desk.role == "township" and application["status"] == "returned":
            _completion(desk, application_id)


def _facts(application: Mapping[str, Any]) -> list[tuple[str, str]]:
    applicant, account, agent = application["applicant"], application["account"], application["agent"]
    certificate = application["facts"].get("certificate") or {}
    level = f"{certificate['level']}级" if certificate else "—"
    return [
        ("申请人", as_text(applicant["name"])),
        ("身份证号", as_text(applicant["id_number"])),
        ("联系电话", as_text(applicant["phone"])),
        ("户籍地", as_area(application["area"])),
        ("残疾等级", level),
        ("申请补贴", as_words(SUBSIDIES)(list(application["subsidies"]))),
        ("申请日期", as_text(application["applied_on"])),
        ("渠道", as_words(CHANNELS)(application["channel"])),
        ("代办人", f"{agent['name']}（{agent['relation']}）" if agent else "—"),
        ("收款账户", f"{as_text(account.get('bank'))} {as_text(account.get('number'))}" if account else "—"),
        ("当前环节", as_words(STAGES)(application["stage"])),
        ("办理时限", as_text(application["due_on"]) + ("，已超期" if application["overdue"] else "")),
        ("批准", as_words(SUBSIDIES)(list(application["granted"]))),
        ("退回或不予批准的理由", as_text(application["reason"])),
    ]


def _look_twice(application: Mapping[str, Any]) -> None:
    """What a reviewer should not overlook: contradictions, look-alikes, matters that came along, clocks."""
    if forwarding := application.get("forwarding"):
        step, due_on = STEPS[forwarding["step"]][0], as_text(forwarding.get("due_on"))
        accepted_area = as_area(forwarding["accepted_area"])
        facts([("受理地", accepted_area), ("跨省通办", step), ("本环节时限", due_on)])
    if conflicts := application.get("conflicts"):
        subheading("信息不一致")
        shown = [
            Column("field", "事项", show=as_words(FIELDS)),
            Column("declared", "本次申报", wide=True),
            Column("known", "已有信息", wide=True),
            Column("known_from", "来源", wide=True),
        ]
        table(shown, conflicts)
    if alike := application.get("look_alikes"):
        subheading("疑似同一人或共用账户")
        table(
            [PERSON, Column("area", "户籍地", show=as_area), Column("because", "原因", show=as_words(LIKENESS))], alike
        )
    if matters := application.get("matters"):
        subheading("一并申办事项")
        table([Column("kind", "事项"), Column("reference_no", "编号"), Column("detail", "说明", wide=True)], matters)


def _assessment(assessment: Mapping[str, Any] | None) -> None:
    if not assessment:
        ui.label("尚无资格认定结果").classes("lb-about")
        return
    for decision in assessment["decisions"]:
        amount = f"，每月 {as_yuan(decision['amount_fen'])} 元" if decision["eligible"] else ""
        verdict = "符合" if decision["eligible"] else "不符合"
        subheading(f"{SUBSIDIES[decision['subsidy']][0]}：{verdict}{amount}")
        table(
            [
                Column("detail", "依据事实", show=in_chinese, wide=True),
                Column("outcome", "结论", words=OUTCOMES),
                Column("citation", "条款", show=in_chinese, wide=True),
            ],
            decision["reasons"],
        )


def _opinions(reviews: list[Mapping[str, Any]]) -> None:
    if not reviews:
        return
    subheading("审核意见")
    columns = [
        Column("stage", "环节", show=as_words(STAGES)),
        Column("outcome", "意见", words=REVIEWED),
        Column("reason", "说明", wide=True),
        Column("sub", "经办人"),
        Column("reviewed_on", "日期"),
    ]
    table(columns, reviews)


async def _archive(desk: Desk, application_id: str) -> None:
    """What the archive holds and lacks; who keeps it adds what was scanned, or corrects it."""
    subheading("档案")
    path = f"/v1/applications/{application_id}"
    columns = [
        Column("kind", "材料", show=as_words(DOCUMENTS)),
        Column("media_type", "格式"),
        Column("uploaded_at", "归档时间", show=as_moment),
        Column("uploaded_by", "归档人"),
        Column("replaced_by", "版本", show=lambda later: "已被更正" if later else "现行"),
        Column("national_state", "上传全国系统", show=lambda state: _UPLOADS.get(state, as_text(state))),
    ]
    archive = await desk.rest.get(f"{path}/archive")
    held = table(columns, archive["items"], empty="还没有材料")
    lacking = ui.label(_lacking(archive)).classes("lb-about")
    if desk.role == "auditor":
        return
    with ui.row().classes("lb-filters"):
        kind = choice({name: words for name, (words, _) in DOCUMENTS.items()}, "材料")
        source = choice({"scan": "扫描件", "photo": "照片"}, "来源")
        corrected = choice(_correctable(archive), "更正")

    async def send(content: AsyncIterable[bytes], answered: ui.column) -> None:
        form = {"kind": kind.value, "source": source.value, "replaces": corrected.value}
        await desk.rest.send_form(f"{path}/documents", content, **form)
        archive = await desk.rest.get(f"{path}/archive")
        fill(held, columns, archive["items"])
        lacking.text = _lacking(archive)
        corrected.set_options(_correctable(archive), value="")
        answered.clear()
        with answered:
            ui.label("已归档")

    sending_file(send, accept=".pdf,.jpg,.jpeg,.png,.heic", most_mib=8, about="PDF、JPEG、PNG 或 HEIC")


def _lacking(archive: Mapping[str, Any]) -> str:
    return f"尚缺：{as_words(DOCUMENTS)(archive['missing'])}" if archive["missing"] else "材料齐全"


def _correctable(archive: Mapping[str, Any]) -> dict[str, str]:
    """The documents that a new one may correct: those in force."""
    in_force = [item for item in archive["items"] if item["replaced_by"] is None]
    return {"": "不更正，新增一份"} | {
        item["document_id"]: f"{DOCUMENTS[item['kind']][0]} {as_moment(item['uploaded_at'])}" for item in in_force
    }


def _papers(desk: Desk, application_id: str, papers: list[Mapping[str, Any]]) -> None:
    """The papers that the application has, to be printed."""
    if desk.role not in ("township", "cdpf", "civil_affairs"):
        return
    subheading("文书")
    for item in papers:
        name = PAPERS[item["kind"]] + ("（已送达）" if item["deliveries"] else "")
        paper(desk, name, f"/v1/applications/{application_id}/papers/{item['kind']}", forms=("pdf",))


def _review(desk: Desk, application: Mapping[str, Any]) -> None:
    """The opinion of whose turn it is; to return or reject one says why."""
    subheading(f"{STAGES[desk.role][0]}意见")
    reason = ui.input("说明（退回、不予批准必填）").props("outlined dense").classes("w-full")
    refused = ui.column().classes("w-full")

    async def answer(outcome: str) -> None:
        body = {"stage": desk.role, "outcome": outcome, "reason": reason.value or None}
        path = f"/v1/applications/{application['application_id']}/reviews"
        if await posted(desk, path, body, refused):
            done("已记录意见")

    with ui.row():
        ui.button("同意", on_click=lambda: answer("approve")).props("unelevated no-caps")
        ui.button("退回补正", on_click=lambda: answer("return")).props("outline no-caps")
        ui.button("不予批准", on_click=lambda: answer("reject")).props("outline no-caps")


def _completion(desk: Desk, application_id: str) -> None:
    """A returned application whose material is complete goes on."""
    subheading("补正")
    refused = ui.column().classes("w-full")

    async def complete() -> None:
        if await posted(desk, f"/v1/applications/{application_id}/completion", {}, refused):
            done("已补正，继续审核")

    ui.button("材料已补齐", on_click=complete).props("unelevated no-caps")


_UPLOADS = {"pending": "待上传", "received": "已上传", "refused": "未被接收"}


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

"""The findings of comparisons (比对发现), until a person has verified each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    PERSON,
    Column,
    Desk,
    Filter,
    Refused,
    Words,
    area_filter,
    as_area,
    as_text,
    as_words,
    dialog,
    facts,
    heading,
    options_of,
    problem,
    subheading,
    table,
    word,
)
from libs.common.forms import paper, posted
from libs.common.listing import listing
from libs.common.vocabulary import BENEFIT_NAMES, INCOME_NAMES

STATUSES: Words = {"open": ("待核实", "busy"), "confirmed": ("已确认", "bad"), "dismissed": ("已排除", "good")}

KINDS: Words = {
    "person.died": ("死亡", "quiet"),
    "person.declared_dead": ("被宣告死亡", "quiet"),
    "person.declared_missing": ("被宣告失踪", "quiet"),
    "person.missing": ("失踪", "quiet"),
    "person.reappeared": ("重新出现", "quiet"),
    "person.imprisoned": ("在监服刑", "quiet"),
    "person.released": ("刑满释放", "quiet"),
    "person.moved": ("户籍迁移", "quiet"),
    "certificate.issued": ("残疾人证核发", "quiet"),
    "certificate.renewed": ("残疾人证换发", "quiet"),
    "certificate.reassessed": ("残疾等级重新评定", "quiet"),
    "certificate.expired": ("残疾人证过期", "quiet"),
    "certificate.frozen": ("残疾人证冻结", "quiet"),
    "certificate.unfrozen": ("残疾人证解冻", "quiet"),
    "certificate.cancelled": ("残疾人证注销", "quiet"),
    "certificate.moved_out": ("残疾人证迁出", "quiet"),
    "low_income.entered": ("纳入低保等救助范围", "quiet"),
    "low_income.exited": ("退出低保或低保边缘", "quiet"),
    "benefit.started": ("享受其他补贴", "quiet"),
    "benefit.ended": ("其他补贴终止", "quiet"),
    "fact.retracted": ("更正撤销", "quiet"),
}

ABOUT: Words = {about: (name, "quiet") for about, name in {**BENEFIT_NAMES, **INCOME_NAMES}.items()}
"""What a lead is of, where a person may have several of its kind at a time."""

SOURCES: Words = {
    "certificates": ("残联", "quiet"),
    "low_income": ("民政", "quiet"),
    "cremations": ("殡葬火化", "quiet"),
    "deaths": ("卫健死亡人口", "quiet"),
    "population": ("公安人口库", "quiet"),
    "court_declarations": ("法院宣告", "quiet"),
    "prisons": ("监狱服刑", "quiet"),
    "benefits": ("其他补贴", "quiet"),
    "social_cards": ("社会保障卡", "quiet"),
    "guardianships": ("监护关系", "quiet"),
    "institution_residents": ("机构供养", "quiet"),
    "national_roster": ("全国系统名册", "quiet"),
    "paper_roster": ("纸质名册", "quiet"),
    "verification": ("核实", "quiet"),
}

OVERDUE: Words = {"True": ("已超期", "bad"), "False": ("—", "quiet")}

METHODS = {"visit": "入户走访", "video": "视频查看", "face": "人脸识别", "phone": "电话", "document": "书面材料"}

VERIFIERS = ("township", "civil_affairs")

DEATHS = ("person.died", "person.declared_dead")

DECISIONS = {"keep": "继续暂缓", "release": "先行恢复发放"}


async def findings(desk: Desk) -> None:
    heading("比对发现", "比对结果只是线索：核实之前暂缓发放，确认后才成为事实，排除后补发")
    if desk.role in VERIFIERS:
        paper(desk, "核查任务单", "/v1/papers/task-sheets", area=desk.area)
    await listing(
        desk,
        "/v1/findings",
        [
            Column("kind", "线索", show=as_words(KINDS)),
            Column("about", "具体待遇", show=as_words(ABOUT)),
            PERSON,
            Column("name", "姓名"),
            Column("area", "地区", show=as_area),
            Column("alleged_on", "所涉日期"),
            Column("hold_from", "暂缓起始月"),
            Column("status", "状态", words=STATUSES),
            Column("due_on", "核实期限"),
            Column("overdue", "超期", words=OVERDUE),
        ],
        [
            area_filter(desk),
            Filter("status", "状态", options_of(STATUSES), initial="open"),
            Filter("kind", "线索", options_of(KINDS)),
            Filter("overdue", "期限", {"true": "已超期", "false": "未超期"}),
        ],
        on_open=lambda row: _open(desk, row),
        on_chosen=("批量核实", partial(_verify_many, desk)) if desk.role in VERIFIERS else None,
    )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    finding = await desk.rest.get(f"/v1/findings/{row['finding_id']}")
    with dialog(as_words(KINDS)(finding["kind"])):
        word(finding["status"], STATUSES)
        facts(
            [
                ("具体待遇", as_words(ABOUT)(finding["about"])),
                ("姓名", as_text(finding["name"])),
                ("地区", as_area(finding["area"])),
                ("所涉日期", as_text(finding["alleged_on"])),
                ("暂缓起始月", as_text(finding["hold_from"])),
                ("核实期限", as_text(finding["due_on"]) + ("，已超期" if finding["overdue"] else "")),
                ("承办地区", as_area(finding["assigned_to"])),
                ("逾期处理决定", DECISIONS.get(finding["decision"], "—")),
                ("核实方式", METHODS.get(finding["method"], "—")),
                ("生效日期", as_text(finding["effective_on"])),
                ("核实说明", as_text(finding["note"])),
            ]
        )
        table([Column("source", "来源", show=as_words(SOURCES)), Column("alleged_on", "所涉日期")], finding["claims"])
        if desk.role in VERIFIERS:
            paper(desk, "核查任务单", f"/v1/papers/task-sheets/{finding['finding_id']}", ("pdf",))
        if finding["status"] == "open" and desk.role in VERIFIERS:
            _verification(desk, finding)
        if finding["overdue"] and desk.role == "civil_affairs":
            _decision(desk, finding)


def _verification(desk: Desk, finding: Mapping[str, Any]) -> None:
    """What the person found out, and how: confirmed or dismissed."""
    method = ui.select(METHODS, value="visit", label="核实方式").props('outlined dense aria-label="核实方式"')
    effective_on = ui.input("实际日期", value=finding["alleged_on"]).props("outlined dense")
    note = ui.input("核实说明").props("outlined dense")
    refused = ui.column().classes("w-full")

    async def answer(outcome: str) -> None:
        body = {"method": method.value, "outcome": outcome, "note": note.value or ""}
        if outcome == "confirmed":
            body["effective_on"] = effective_on.value
        if await posted(desk, f"/v1/findings/{finding['finding_id']}/verification", body, refused):
            ui.notify("已记录核实结果")
            ui.navigate.reload()

    with ui.row():
        ui.button("确认属实", on_click=lambda: answer("confirmed")).props("unelevated no-caps")
        ui.button("排除", on_click=lambda: answer("dismissed")).props("outline no-caps")


async def _verify_many(desk: Desk, chosen: Sequence[Mapping[str, Any]], reload: Callable[[], Awaitable[None]]) -> None:
    """Many leads at once, with one method and one reason; each is recorded by itself."""
    waiting = [finding for finding in chosen if finding["status"] == "open"]
    with dialog(f"批量核实 {len(waiting)} 条") as opened:
        ui.label("每条分别记录；确认的以各自的所涉日期为准，日期不同的请逐条核实").classes("lb-about")
        method = ui.select(METHODS, value="document", label="核实方式").props('outlined dense aria-label="核实方式"')
        note = ui.input("核实说明（必填）").props("outlined dense").classes("w-full")
        refused = ui.column().classes("w-full")

        async def answer(outcome: str) -> None:
            refused.clear()
            body = {
                "finding_ids": [finding["finding_id"] for finding in waiting],
                "method": method.value,
                "outcome": outcome,
                "note": note.value or "",
            }
            try:
                done = await desk.rest.post("/v1/findings/bulk-verification", body)
            except Refused as refusal:
                with refused:
                    problem(refusal)
                return
            kept = [item["refused"] for item in done if item["refused"]]
            ui.notify(f"已核实 {len(done) - len(kept)} 条" + (f"，{len(kept)} 条未成：{kept[0]}" if kept else ""))
            opened.close()
            await reload()

        with ui.row():
            ui.button("全部属实", on_click=lambda: answer("confirmed")).props("unelevated no-caps")
            ui.button("全部排除", on_click=lambda: answer("dismissed")).props("outline no-caps")


def _decision(desk: Desk, finding: Mapping[str, Any]) -> None:
    """Overdue: the county keeps the hold or releases it, with its reason."""
    subheading("逾期未核实，请在下一发放周期前决定")
    reason = ui.input("理由").props("outlined dense")
    refused = ui.column().classes("w-full")

    async def decide(decision: str) -> None:
        body = {"decision": decision, "reason": reason.value or ""}
        if await posted(desk, f"/v1/findings/{finding['finding_id']}/decision", body, refused):
            ui.notify("已记录决定")
            ui.navigate.reload()

    with ui.row():
        ui.button("继续暂缓", on_click=lambda: decide("keep")).props("unelevated no-caps")
        if finding["kind"] not in DEATHS:  # which only a verification releases
            ui.button("先行恢复发放", on_click=lambda: decide("release")).props("outline no-caps")

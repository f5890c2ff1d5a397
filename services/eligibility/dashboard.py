"""Eligibility in the console: one person's entitlements with their reasons, and the policy parameters in force."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from nicegui import ui

from libs.common.areas import full_name_of
from libs.common.clock import business_today
from libs.common.dashboard import (
    SUBSIDIES,
    Column,
    Desk,
    Page,
    Panel,
    Refused,
    Words,
    area_filter,
    as_area,
    as_text,
    as_yuan,
    heading,
    problem,
    section,
    subheading,
    table,
)
from libs.common.forms import fen_of
from libs.common.listing import listing
from libs.common.vocabulary import CATEGORY_NAMES

CONFIDENCE: Words = {"V": ("已见原文", "good"), "K": ("通行做法", "quiet"), "U": ("待核实", "busy")}

CAUSES: dict[str, str] = {
    "application.approved": "申请获批",
    "recipients.listed": "存量接管",
    "application.withdrawn": "本人撤回",
    "certificate.issued": "残疾人证核发",
    "certificate.renewed": "残疾人证换发",
    "certificate.reassessed": "残疾等级重新评定",
    "certificate.expired": "残疾人证过期",
    "certificate.frozen": "残疾人证冻结",
    "certificate.unfrozen": "残疾人证解冻",
    "certificate.cancelled": "残疾人证注销",
    "certificate.moved_out": "残疾人证迁出",
    "low_income.entered": "纳入低保或低保边缘",
    "low_income.exited": "退出低保或低保边缘",
    "person.died": "死亡",
    "person.declared_dead": "被宣告死亡",
    "person.declared_missing": "被宣告失踪",
    "person.missing": "失踪",
    "person.reappeared": "重新出现",
    "person.imprisoned": "在监服刑",
    "person.released": "刑满释放",
    "person.moved": "户籍迁移",
    "benefit.started": "享受其他补贴",
    "benefit.ended": "其他补贴终止",
    "fact.retracted": "事实更正",
    "policy.changed": "政策调整",
    "standard.changed": "标准调整",
    "spell.resumed": "恢复发放",
}

_MONTHS = [
    Column("from", "自"),
    Column("to", "至", show=lambda value: as_text(value) if value else "持续"),
    Column("amount_fen", "月标准（元）", show=as_yuan, numeric=True),
    Column("level", "等级", numeric=True),
    Column("area", "发放地", show=as_area),
    Column("cause", "原因", show=lambda cause: CAUSES.get(cause, as_text(cause))),
    Column("policy_version", "政策版本", mono=True),
]


async def entitlements(desk: Desk) -> None:
    heading("资格查询", "按身份证号或人员编号查询应发月份；身份证号只在请求正文中传送，不进入网址和日志")
    with ui.row().classes("lb-filters").props("role=search"):
        entered = ui.input("身份证号或人员编号").props("outlined dense autocomplete=off").classes("lb-wide")
        ask = ui.button("查询", icon="search").props("unelevated no-caps")
    answer = ui.column().classes("w-full gap-4")

    async def look_up() -> None:
        answer.clear()
        with answer:
            try:
                given = entered.value.strip()
                person_id = given if given.startswith("p") else await desk.find_person(given)
                with section("应发月份"):
                    await schedule(desk, person_id)
                    ui.link("该人员在各服务的全部记录", f"/persons/{person_id}")
            except Refused as refusal:
                problem(refusal)

    ask.on_click(look_up)
    entered.on("keydown.enter", look_up)


async def schedule(desk: Desk, person_id: str) -> None:
    """The months payable to a person, by subsidy."""
    found: dict[str, Any] = await desk.rest.get(f"/v1/persons/{person_id}/entitlements")
    for subsidy, (name, _) in SUBSIDIES.items():
        subheading(name)
        table(_MONTHS, found[subsidy], empty="没有应发月份")


async def policies(desk: Desk) -> None:
    heading("政策参数", "某地某日有效的每个参数：取值、所属层级、依据文件和可信程度")
    with ui.row().classes("lb-filters").props("role=search"):
        area = ui.input("地区代码", value=desk.place).props("outlined dense").classes("lb-field")
        on = ui.input("日期", value=business_today().isoformat()).props("outlined dense type=date stack-label")
        on.classes("lb-field")
        ask = ui.button("查询", icon="search").props("unelevated no-caps")
    answer = ui.column().classes("w-full")

    async def show() -> None:
        answer.clear()
        with answer:
            try:
                found = await desk.rest.get("/v1/policies", area=area.value, on=on.value)
            except Refused as refusal:
                problem(refusal)
                return
            with section(full_name_of(area.value, business_today())):
                table(_PARAMETERS, found["items"])

    ask.on_click(show)
    await show()


_PARAMETERS = [
    Column("title", "参数", wide=True),
    Column("words", "取值", wide=True),
    Column("layer", "层级", show=lambda layer: "全国" if layer == "nation" else as_area(layer)),
    Column("since", "自"),
    Column("source", "依据", wide=True),
    Column("confidence", "可信程度", words=CONFIDENCE),
]


async def corrections(desk: Desk) -> None:
    heading("政策纠正", "与上级规定不一致、或依据已废止文件的现行规定：责任人、期限、影响人数和过渡安排（通知二、八）")
    await listing(desk, "/v1/policies/conflicts", _CORRECTIONS, [area_filter(desk)], empty="没有需要纠正的规定")


CORRECTION_STATUS: Words = {"open": ("待分派", "bad"), "assigned": ("纠正中", "busy"), "resolved": ("已纠正", "good")}

_CORRECTIONS = [
    Column("layer", "层级", show=lambda layer: "全国" if layer == "nation" else as_area(layer)),
    Column("title", "事项", wide=True),
    Column("since", "自"),
    Column("message", "问题", wide=True),
    Column("clause", "条款"),
    Column("status", "状态", words=CORRECTION_STATUS),
    Column("owner", "责任人"),
    Column("due_on", "期限"),
    Column("persons_affected", "影响人数", numeric=True),
    Column("wrongly_refused", "误拒待复核", numeric=True),
    Column("transition", "过渡安排", wide=True),
]


async def simulations(desk: Desk) -> None:
    heading("政策测算", "调整一项参数，测算当月和此后一年的人数和金额；只算不存，不影响任何人的资格")
    known = (await desk.rest.get("/v1/policies", area=desk.place))["items"]
    with ui.row().classes("lb-filters").props("role=search"):
        area = ui.input("地区代码", value=desk.place).props("outlined dense").classes("lb-field")
        period = ui.input("月份", value=business_today().isoformat()[:7]).props("outlined dense").classes("lb-field")
        names = {item["name"]: item["title"] for item in known}
        name = ui.select(names, label="参数", value="living.amount_fen").props("outlined dense").classes("lb-wide")
        value = ui.input("取值（金额以元计）", value="120").props("outlined dense").classes("lb-field")
        value.tooltip("按等级分别取值的写作：1级 120；2级 110")
        ask = ui.button("测算", icon="calculate").props("unelevated no-caps")
    answer = ui.column().classes("w-full gap-4")

    async def run() -> None:
        answer.clear()
        with answer:
            try:
                change = {"name": name.value, "value": typed(name.value, value.value)}
                body = {"area": area.value, "period": period.value, "changes": [change]}
                asked = await desk.rest.post("/v1/simulations", body)
                waiting = ui.spinner(size="lg")
                found = await _finished(desk, f"/v1/simulations/{asked['simulation_id']}")
                waiting.delete()
            except Refused as refusal:
                problem(refusal)
                return
            for title, key, column in _SIMULATED:
                with section(title):
                    table([Column("subsidy", "补贴", words=SUBSIDIES), *column, *_SUMS], found[key])

    ask.on_click(run)


async def _finished(desk: Desk, path: str) -> dict[str, Any]:
    """The simulation's answer, asked for until it is there."""
    while True:
        found: dict[str, Any] = await desk.rest.get(path)
        if found["status"] == "finished":
            return found
        await asyncio.sleep(_ASK_AGAIN_S)


def typed(name: str, text: str) -> Any:
    """A parameter's value as a user writes it: amounts in yuan, one or one for each level (`1级 120；2级 110`); else as
    JSON writes it, else the text itself. `Refused` for what is no amount."""
    if name.endswith(".amount_fen"):
        by_level = {level: fen_of(yuan, f"{level}级取值") for level, yuan in _BY_LEVEL.findall(text)}
        return by_level or fen_of(text, "取值")
    try:
        return json.loads(text)
    except ValueError:
        return text


_BY_LEVEL = re.compile(r"([1-4])\s*级[\s:：]*([^\s;；,，]+)")
_ASK_AGAIN_S = 0.5
_SUMS = [
    Column("persons_before", "现人数", numeric=True),
    Column("fen_before", "现金额（元）", show=as_yuan, numeric=True),
    Column("persons_after", "调整后人数", numeric=True),
    Column("fen_after", "调整后金额（元）", show=as_yuan, numeric=True),
]
_SIMULATED: list[tuple[str, str, list[Column]]] = [
    ("合计", "totals", []),
    ("可申请而未申请的", "potential", []),
    ("按县", "by_county", [Column("county", "县", show=as_area)]),
    ("按等级", "by_level", [Column("level", "等级")]),
    ("按类别", "by_category", [Column("category", "类别", show=lambda c: _CATEGORIES.get(c, as_text(c)))]),
    ("今后一年", "forecast", [Column("period", "月份")]),
    ("当年或次年到龄的现领人员", "ages", [Column("age", "年龄", numeric=True), Column("year", "年份")]),
]
_CATEGORIES: dict[str, str] = {str(category): name for category, name in CATEGORY_NAMES.items()}

PAGES = [
    Page("/entitlements", "资格查询", "badge", entitlements),
    Page("/policies", "政策参数", "gavel", policies),
    Page("/policy-corrections", "政策纠正", "rule", corrections),
    Page("/simulations", "政策测算", "calculate", simulations),
]
STORY = {
    **CAUSES,
    "residence.observed": "户籍所在地",
    "care_need.assessed": "长期照护需求评估",
    "transfer.accepted": "迁移接收",
    "review": "审核",
    "verification": "核实",
    "application.assessed": "资格评估",
    "entitlement.changed": "应发月份变化",
    "candidate.prescreened": "资格初筛",
}
PERSON_PANELS = [Panel("应发月份", schedule)]

"""Eligibility in the console: one person's entitlements with their reasons, and the policy parameters in force."""

from __future__ import annotations

from collections.abc import Mapping
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
    as_area,
    as_text,
    as_yuan,
    heading,
    problem,
    section,
    subheading,
    table,
)

CONFIDENCE: Words = {"V": ("已见原文", "good"), "K": ("通行做法", "quiet"), "U": ("待核实", "busy")}

CAUSES: dict[str, str] = {
    "application.approved": "申请获批",
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

VALUES: dict[str, str] = {
    "dibao": "低保",
    "borderline": "低保边缘",
    "tekun": "特困供养",
    "rigid": "刚性支出困难",
    "monitored": "防返贫监测",
    "orphan": "孤儿基本生活费",
    "unattended_child_full": "事实无人抚养儿童补贴（全额）",
    "unattended_child_part": "事实无人抚养儿童补贴（差额）",
    "elderly_care": "老年人护理补贴",
    "elderly_service": "养老服务补贴",
    "old_age": "高龄津贴",
    "work_injury_care": "工伤生活护理费",
    "retired_cadre_living": "离休人员生活补贴",
    "retired_cadre_care": "离休人员护理费",
    "duty_disability_living": "因公致残生活补贴",
    "duty_disability_care": "因公致残护理费",
    "other_living": "其他福利性生活补贴",
    "other_care": "其他护理补贴",
    "ltc_insurance": "长期护理保险待遇",
    "acceptance": "迁入地接收后延续",
    "automatic": "自动延续",
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
        area = ui.input("地区代码", value=desk.area or "53").props("outlined dense").classes("lb-field")
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
                table(_PARAMETERS, [{**item, "value": _value(item)} for item in found["items"]])

    ask.on_click(show)
    await show()


def _value(parameter: Mapping[str, Any]) -> str:
    """A parameter's value as one text; amounts in yuan."""
    value, in_fen = parameter["value"], str(parameter.get("unit", "")).startswith("fen")
    if isinstance(value, dict):
        return "；".join(f"{key}级 {as_yuan(item)} 元" if in_fen else f"{key}：{item}" for key, item in value.items())
    if isinstance(value, list):
        return "、".join(VALUES.get(str(item), str(item)) for item in value) or "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    return f"{as_yuan(value)} 元" if in_fen else VALUES.get(str(value), as_text(value))


_PARAMETERS = [
    Column("title", "参数", wide=True),
    Column("value", "取值", wide=True),
    Column("layer", "层级", show=lambda layer: "全国" if layer == "nation" else as_area(layer)),
    Column("since", "自"),
    Column("source", "依据", wide=True),
    Column("confidence", "可信程度", words=CONFIDENCE),
]

PAGES = [
    Page("/entitlements", "资格查询", "badge", entitlements),
    Page("/policies", "政策参数", "gavel", policies),
]
PERSON_PANELS = [Panel("应发月份", schedule)]

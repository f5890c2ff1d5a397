"""Matching in the console: the findings of comparisons (比对发现), until a person has verified each."""

from __future__ import annotations

from libs.common.dashboard import (
    PERSON,
    Column,
    Desk,
    Filter,
    Page,
    Panel,
    Words,
    area_filter,
    as_area,
    as_words,
    heading,
    listing,
    options_of,
    timeline,
)

STATUSES: Words = {"open": ("待核实", "busy"), "confirmed": ("已确认", "bad"), "dismissed": ("已排除", "good")}

KINDS: Words = {
    "person.died": ("疑似死亡", "quiet"),
    "person.declared_dead": ("被宣告死亡", "quiet"),
    "person.declared_missing": ("被宣告失踪", "quiet"),
    "person.missing": ("失踪", "quiet"),
    "person.imprisoned": ("在监服刑", "quiet"),
    "person.moved": ("户籍迁移", "quiet"),
    "certificate.expired": ("残疾人证过期", "quiet"),
    "certificate.frozen": ("残疾人证冻结", "quiet"),
    "certificate.cancelled": ("残疾人证注销", "quiet"),
    "certificate.moved_out": ("残疾人证迁出", "quiet"),
    "low_income.exited": ("退出低保或低保边缘", "quiet"),
    "benefit.started": ("享受其他补贴", "quiet"),
}


async def findings(desk: Desk) -> None:
    heading("比对发现", "比对结果只是线索：核实之前暂缓发放，确认后才成为事实，排除后补发")
    await listing(
        desk,
        "/v1/findings",
        [
            Column("kind", "线索", show=as_words(KINDS)),
            PERSON,
            Column("area", "地区", show=as_area),
            Column("alleged_on", "所涉日期"),
            Column("hold_from", "暂缓起始月"),
            Column("status", "状态", words=STATUSES),
            Column("due_on", "核实期限"),
        ],
        [
            area_filter(desk),
            Filter("status", "状态", options_of(STATUSES), initial="open"),
            Filter("kind", "线索", options_of(KINDS)),
            Filter("overdue", "期限", {"true": "已超期", "false": "未超期"}),
        ],
    )


PAGES = [Page("/findings", "比对发现", "manage_search", findings)]
PERSON_PANELS = [Panel("数据比对", timeline)]

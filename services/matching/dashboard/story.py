"""Matching's part of a person's story."""

from __future__ import annotations

from libs.common.dashboard import Column, Desk, Words, as_moment, as_words, table
from services.matching.dashboard.findings import KINDS, METHODS, SOURCES

TOLD: Words = {
    **KINDS,
    "finding.opened": ("比对发现", "quiet"),
    "finding.confirmed": ("核实确认", "quiet"),
    "finding.dismissed": ("核实排除", "quiet"),
    "outreach.identified": ("列为主动服务对象", "quiet"),
    "outreach.prescreened": ("资格初筛", "quiet"),
    "outreach.reminded": ("已提醒告知", "quiet"),
    "outreach.applied": ("已申请", "quiet"),
    "outreach.lapsed": ("未申请，视为自愿放弃", "quiet"),
    "outreach.closed": ("主动服务结束", "quiet"),
    "proof_of_life.alive": ("生存验证：健在", "quiet"),
    "proof_of_life.dead": ("生存验证：疑似死亡", "quiet"),
    "proof_of_life.missing": ("生存验证：疑似失踪", "quiet"),
    "proof_of_life.stopped": ("生存验证：已停发，无需验证", "quiet"),
}


STORY = {
    **{what: chinese for what, (chinese, _) in {**SOURCES, **TOLD}.items()},
    **METHODS,
    "entered_low_income": "新纳入低保",
    "certified": "新办证",
    "qualifies_again": "重新符合条件",
}


async def story(desk: Desk, person_id: str) -> None:
    answer = await desk.rest.get(f"/v1/persons/{person_id}/timeline")
    columns = [
        Column("at", "时间", show=as_moment),
        Column("what", "事项", show=as_words(TOLD)),
        Column("occurred_on", "发生日期"),
        Column("source", "来源", show=as_words(SOURCES)),
    ]
    table(columns, answer["items"], empty="没有相关记录")

"""Proofs of life (生存验证): who has to be seen by when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    PERSON,
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
    table,
    word,
)
from libs.common.forms import Field, form
from libs.common.listing import listing
from services.matching.dashboard.findings import METHODS

RISKS: Words = {"high": ("重点对象", "bad"), "normal": ("一般对象", "quiet")}
BECAUSE: Words = {
    "interval": ("定期验证", "quiet"),
    "age": ("高龄", "quiet"),
    "earlier_lead": ("曾有死亡或失踪线索", "quiet"),
    "not_seen": ("上次未见到本人", "quiet"),
}
OUTCOMES: Words = {
    "alive": ("健在", "good"),
    "dead": ("疑似死亡", "bad"),
    "missing": ("疑似失踪", "bad"),
    "not_seen": ("未见到本人", "busy"),
    "stopped": ("已停发，无需验证", "quiet"),
}


async def proofs(desk: Desk) -> None:
    heading("生存验证", "重点对象在前；人脸识别未通过不等于死亡，换用其他方式验证")
    await listing(
        desk,
        "/v1/proofs-of-life",
        [
            PERSON,
            Column("area", "地区", show=as_area),
            Column("risk", "类别", words=RISKS),
            Column("because", "事由", show=as_words(BECAUSE)),
            Column("last_sign_on", "上次确认日期"),
            Column("due_on", "应验证日期"),
            Column("attempts", "已尝试次数", numeric=True),
            Column("outcome", "结果", show=as_words(OUTCOMES)),
        ],
        [
            area_filter(desk),
            Filter("due_before", "应验证日期不晚于", hint="年-月-日"),
            Filter("status", "状态", {"open": "待验证", "done": "已验证"}, initial="open"),
        ],
        on_open=lambda row: _open(desk, row),
    )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    proof = await desk.rest.get(f"/v1/proofs-of-life/{row['proof_id']}")
    with dialog("生存验证"):
        word(proof["risk"], RISKS)
        facts(
            [
                ("地区", as_area(proof["area"])),
                ("事由", as_words(BECAUSE)(proof["because"])),
                ("上次确认日期", as_text(proof["last_sign_on"])),
                ("应验证日期", as_text(proof["due_on"])),
                ("最迟", as_text(proof["late_after"])),
            ]
        )
        columns = [
            Column("on", "日期"),
            Column("method", "方式", show=lambda method: METHODS.get(method, as_text(method))),
            Column("outcome", "结果", show=as_words(OUTCOMES)),
            Column("note", "说明", wide=True),
        ]
        table(columns, proof["tried"], empty="尚未验证")
        if proof["status"] == "open" and desk.role in ("township", "civil_affairs"):
            _attempt(desk, proof)


def _attempt(desk: Desk, proof: Mapping[str, Any]) -> None:
    outcomes = {key: chinese for key, (chinese, _) in OUTCOMES.items() if key != "stopped"}
    form(
        desk,
        f"/v1/proofs-of-life/{proof['proof_id']}",
        [
            Field("method", "验证方式", options=METHODS, initial="visit"),
            Field("outcome", "结果", options=outcomes, initial="alive"),
            Field("note", "说明", required=False),
        ],
        button="记录",
        done=ui.navigate.reload,
    )

"""Reconciliation (对账) and what it found: every difference a case with owner, deadline and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.auth import ROLE_NAMES
from libs.common.dashboard import (
    Column,
    Desk,
    Filter,
    Refused,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_yuan,
    dialog,
    facts,
    heading,
    problem,
    section,
    subheading,
    word,
)
from libs.common.forms import Field, form, paper
from libs.common.listing import listing
from libs.common.vocabulary import SUBSIDY_NAMES
from services.disbursement.dashboard.words import CASE_STATUSES, again, period_filter, this_month

_RESOLVERS = ("finance", "civil_affairs")
_CLEAN = {"True": ("无差异", "good"), "False": ("有差异", "bad")}
_SIDES = {"payments": "发放台账", "ledger": "总账", "statement": "银行对账单", "sms": "到账短信"}
_WORDS = {
    "settled": "已付",
    "failed": "失败",
    "returned": "退回",
    "sent": "在途",
    "accepted": "受理",
    "settlement": "已付",
    "failure": "失败",
    "return": "退回",
    "complete": "五项齐全",
    "incomplete": "缺项",
}


async def cases(desk: Desk) -> None:
    heading(
        "对账与问题", "应发、总账、银行对账单、到账短信、全国系统名册和纸质名册逐笔核对；每一处差异都有责任人和期限"
    )
    await _reconciliations(desk)
    await listing(
        desk,
        "/v1/cases",
        [
            Column("kind_name", "问题"),
            Column("area", "地区", show=as_area),
            Column("period", "月份"),
            Column("person_id", "人员", show=lambda value: "查看" if value else "—", link="/persons/{person_id}"),
            Column("owner", "责任单位（人）", show=lambda owner: ROLE_NAMES.get(owner, as_text(owner))),
            Column("due_on", "期限"),
            Column("status", "状态", words=CASE_STATUSES),
            Column("remedy", "处理办法", wide=True),
        ],
        [
            area_filter(desk),
            period_filter(),
            Filter("resolved", "状态", {"false": "未销号", "true": "已销号"}, initial="false"),
            Filter("overdue", "期限", {"true": "已超期", "false": "未超期"}),
        ],
        on_open=lambda row: _open_case(desk, row),
    )
    with section("清单"):
        for kind, name in (("problems", "问题清单"), ("supervision", "督办单"), ("rectification", "整改台账")):
            paper(desk, name, f"/v1/papers/{kind}", area=desk.place, period=this_month())


async def _reconciliations(desk: Desk) -> None:
    with section("对账"):
        if desk.role in _RESOLVERS:
            form(
                desk,
                "/v1/reconciliations",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("period", "发放月份", "month", initial=str(this_month())),
                ],
                button="开始对账",
                done=again,
            )
        await listing(
            desk,
            "/v1/reconciliations",
            [
                Column("period", "月份"),
                Column("area", "地区", show=as_area),
                Column("clean", "结果", words=_CLEAN),
                Column("run_at", "时间", show=as_moment),
                Column("run_by", "经办"),
                Column("digest", "对账单摘要（SHA-256）", show=lambda digest: f"{digest[:16]}…", mono=True),
            ],
            empty="还没有对过账",
            on_open=lambda row: _open_reconciliation(desk, row),
        )


async def _open_reconciliation(desk: Desk, row: Mapping[str, Any]) -> None:
    kept = await desk.rest.get(f"/v1/reconciliations/{row['reconciliation_id']}")
    said = kept["certificate"]
    with dialog(f"{kept['period']} 对账单"):
        with ui.row():
            word(str(kept["clean"]), _CLEAN)
            word("good" if kept["intact"] else "bad", {"good": ("摘要无误", "good"), "bad": ("摘要不符", "bad")})
            word("good" if kept["still_so"] else "busy", {"good": ("至今一致", "good"), "busy": ("之后有变动", "busy")})
        month = said["month"]
        subheading(f"{kept['period']} 应发资金去向（元）")
        names = {
            "entitled_fen": "应发",
            "paid_fen": "已发",
            "in_flight_fen": "在途",
            "held_fen": "暂缓",
            "unpayable_fen": "暂不能发放",
            "due_fen": "待发",
            "overpaid_fen": "多发",
        }
        facts(
            [
                ("应发人数", str(month["persons_entitled"])),
                *((text, as_yuan(month[key])) for key, text in names.items()),
            ]
        )
        subheading("各方记录")
        facts([(name, _side(said["sides"].get(side))) for side, name in _SIDES.items()])
        rosters = [
            (
                f"{'全国系统' if item['roster'] == 'national' else '纸质'}名册",
                f"{item['persons']} 人（{item['as_of']}）",
            )
            for item in said["rosters"]
        ]
        facts(rosters or [("其他名册", "未导入，未比对")])
        facts(
            [
                ("对账单摘要", kept["digest"]),
                ("明细摘要", said["lines_digest"]),
                ("上一对账单", as_text(said["previous"])),
            ]
        )


def _side(words: Mapping[str, Mapping[str, int]] | None) -> str:
    if not words:
        return "—"
    return "；".join(
        f"{_WORDS.get(name, name)} {told['lines']} 笔" + (f" {as_yuan(told['fen'])}" if "fen" in told else "")
        for name, told in sorted(words.items())
    )


async def _open_case(desk: Desk, row: Mapping[str, Any]) -> None:
    path = f"/v1/cases/{row['case_id']}"
    with dialog(row["kind_name"]):
        word(row["status"], CASE_STATUSES)
        facts(
            [
                ("地区", as_area(row["area"])),
                ("月份", as_text(row["period"])),
                ("发现时间", as_moment(row["opened_at"])),
                ("责任单位（人）", ROLE_NAMES.get(row["owner"], row["owner"])),
                ("期限", as_text(row["due_on"]) + ("，已超期" if row["overdue"] else "")),
                ("处理办法", row["remedy"]),
                ("督办要求", as_text(row["demand"])),
                ("处理结果", as_text(row["resolution"])),
                *((name, as_text(value)) for name, value in _details(row["detail"])),
            ]
        )
        if row["status"] != "resolved" and desk.role in _RESOLVERS:
            try:
                _work_on(desk, row, path)
            except Refused as refusal:
                problem(refusal)


def _work_on(desk: Desk, row: Mapping[str, Any], path: str) -> None:
    above = len(desk.area) < len(row["area"])
    form(
        desk,
        f"{path}/assignment",
        [
            Field("to", "责任人"),
            Field("due_on", "期限", "date", initial=str(row["due_on"])),
            Field("demand", "要求", required=False),
        ],
        button="督办" if above else "分派",
        done=again,
        primary=False,
    )
    form(desk, f"{path}/resolution", [Field("resolution", "处理结果")], button="销号", done=again)


_DETAILS = {
    "ours": "本方状态",
    "bank": "银行状态",
    "missing": "缺少",
    "persons": "共用人数",
    "last4": "账号后四位",
    "listed_area": "名册地区",
    "because": "原因",
    "state": "进度",
    "subsidies": "补贴",
    "pay_by_day": "发放日",
    "contradiction": "矛盾",
}
_AMOUNTS = {
    "amount_fen": "金额（元）",
    "ours_fen": "本方金额（元）",
    "bank_fen": "银行金额（元）",
    "overdue_fen": "逾期未退（元）",
    "unplanned_fen": "未列入分期（元）",
}
_SAID: dict[Any, str] = {**_WORDS, "not submitted": "未提交", "not settled": "未全部到账", **SUBSIDY_NAMES}


def _details(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = []
    for key, value in detail.items():
        if key.endswith("_fen"):
            shown.append((_AMOUNTS.get(key, key), as_yuan(value)))
        elif key in _DETAILS:
            said = value if isinstance(value, list) else [str(value)]
            shown.append((_DETAILS[key], "、".join(_SAID.get(word, word) for word in said)))
    return shown

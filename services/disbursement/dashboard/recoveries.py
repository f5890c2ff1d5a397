"""Recoveries (追回): months, plan, repayments to the treasury, write-off by two persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.dashboard import (
    PERSON,
    SHORT_SUBSIDIES,
    SUBSIDIES,
    Column,
    Desk,
    Refused,
    area_filter,
    as_area,
    as_text,
    as_words,
    as_yuan,
    dialog,
    facts,
    heading,
    options_of,
    section,
    subheading,
    table,
    word,
)
from libs.common.forms import Field, deed, fen_of, form
from libs.common.listing import listing
from services.disbursement.dashboard.words import RECOVERY_STATUSES, again, status_filter

_CAUSES = {"fraud": "虚报、隐瞒或伪造", "late_report": "迟报变动", "error": "工作差错"}
_SOURCES = {
    "tip_off": "举报",
    "check": "检查",
    "comparison": "数据比对",
    "self_report": "本人报告",
    "other": "其他",
}
_DEBTORS = {"person": "本人", "estate": "遗产"}


async def recoveries(desk: Desk) -> None:
    heading("追回", "每一笔多发都有案件：原因、月份、金额和已追回数")
    if desk.role == "civil_affairs":
        with section("按决定立案"):
            form(
                desk,
                "/v1/recoveries",
                [
                    Field("person_id", "人员编号"),
                    Field("subsidy", "补贴项目", options=options_of(SUBSIDIES)),
                    Field("months", "月份（空格分隔）"),
                    Field("cause", "原因", options=_CAUSES),
                    Field("source", "来源", options=_SOURCES),
                    Field("reason", "决定文号及理由"),
                ],
                button="立案追回",
                body=lambda values: values | {"months": values["months"].split()},
                done=again,
            )
    await listing(
        desk,
        "/v1/recoveries",
        [
            PERSON,
            Column("area", "地区", show=as_area),
            Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
            Column("says", "原因"),
            Column("debtor", "向谁追", show=lambda debtor: _DEBTORS.get(debtor, as_text(debtor))),
            Column("amount_fen", "应追回（元）", show=as_yuan, numeric=True),
            Column("recovered_fen", "已追回（元）", show=as_yuan, numeric=True),
            Column("outstanding_fen", "未追回（元）", show=as_yuan, numeric=True),
            Column("status", "状态", words=RECOVERY_STATUSES),
        ],
        [area_filter(desk), status_filter(RECOVERY_STATUSES)],
        on_open=lambda row: _open(desk, row),
    )
    with section("按原因统计"):
        answer = await desk.rest.get("/v1/recovery-statistics", area=desk.place)
        table(
            [
                Column("cause", "原因", show=lambda cause: _CAUSES.get(cause, as_text(cause))),
                Column("cases", "件数", numeric=True),
                Column("claimed_fen", "应追回（元）", show=as_yuan, numeric=True),
                Column("recovered_fen", "已追回（元）", show=as_yuan, numeric=True),
                Column("of_it_offset_fen", "其中抵扣（元）", show=as_yuan, numeric=True),
                Column("written_off_fen", "核销（元）", show=as_yuan, numeric=True),
                Column("open_fen", "未追回（元）", show=as_yuan, numeric=True),
            ],
            answer["items"],
            empty="没有追回案件",
        )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    path = f"/v1/recoveries/{row['recovery_id']}"
    case = await desk.rest.get(path)
    with dialog(f"追回：{case['says']}"):
        word(case["status"], RECOVERY_STATUSES)
        facts(
            [
                ("地区", as_area(case["area"])),
                ("立案日期", as_text(case["opened_on"])),
                ("结案日期", as_text(case["closed_on"])),
                ("向谁追", _DEBTORS[case["debtor"]]),
                ("应追回（元）", as_yuan(case["amount_fen"])),
                ("已追回（元）", as_yuan(case["recovered_fen"])),
                ("核销（元）", as_yuan(case["written_off_fen"])),
                ("未追回（元）", as_yuan(case["outstanding_fen"])),
                ("后续补贴抵扣比例", f"{case['offset_percent']}%"),
                ("抵扣依据", as_text(case["offset_basis"])),
            ]
        )
        table(
            [
                Column("period", "月份"),
                Column("amount_fen", "应追回", show=as_yuan, numeric=True),
                Column("repaid_fen", "已追回", show=as_yuan, numeric=True),
                Column("written_off_fen", "核销", show=as_yuan, numeric=True),
            ],
            case["months"],
        )
        _history(case)
        if case["status"] == "open":
            _work_on(desk, case, path)


def _history(case: Mapping[str, Any]) -> None:
    instalments = (case["plan"] or {}).get("instalments", [])
    if instalments:
        subheading("还款计划")
        table([Column("due_on", "期限"), Column("amount_fen", "金额（元）", show=as_yuan, numeric=True)], instalments)
    if case["repayments"]:
        subheading("缴回国库")
        table(
            [
                Column("repaid_on", "日期"),
                Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
                Column("document_no", "缴款书号"),
                Column("payment_id", "方式", show=lambda payment: "抵扣" if payment else "退还"),
                Column("reversed_on", "撤销日期"),
                Column("recorded_by", "经办"),
            ],
            case["repayments"],
        )
    if case["write_offs"]:
        subheading("核销")
        table(
            [
                Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
                Column("reason", "理由", wide=True),
                Column("proposed_by", "提出"),
                Column("approved_by", "批准"),
            ],
            case["write_offs"],
        )


def _work_on(desk: Desk, case: Mapping[str, Any], path: str) -> None:
    proposed = any(item["approved_by"] is None for item in case["write_offs"])
    if desk.role == "civil_affairs":
        subheading("还款安排")
        form(desk, f"{path}/plan", _PLAN, button="保存安排", body=_plan, done=again, primary=False)
    if desk.role == "finance":
        subheading("登记缴回")
        form(
            desk,
            f"{path}/repayments",
            [
                Field("amount_fen", "缴回金额（元）", "yuan"),
                Field("repaid_on", "缴回日期", "date", required=False),
                Field("document_no", "缴款书号"),
            ],
            button="登记缴回",
            done=again,
        )
    if desk.role in ("finance", "civil_affairs") and not proposed:
        subheading("核销")
        form(
            desk,
            f"{path}/write-off",
            [Field("amount_fen", "核销金额（元，空为全部）", "yuan", required=False), Field("reason", "核销理由")],
            button="提出核销",
            done=again,
            primary=False,
        )
    if desk.role == "finance" and proposed:
        deed(desk, "批准核销", f"{path}/write-off/approval", done=again, sure="批准核销须由另一人办理，确定批准？")
        refusal = [Field("reason", "不同意的理由")]
        form(desk, f"{path}/write-off/refusal", refusal, button="不同意核销", done=again, primary=False)


_PLAN = [
    Field("method", "方式", options={"repayment": "分期退还", "offset": "从后续补贴抵扣", "estate": "向遗产追回"}),
    Field("instalments", "分期（日期 金额；…）", required=False),
    Field("offset_percent", "抵扣比例（%）", "number", required=False),
    Field("consent", "本人同意书号", required=False),
    Field("decision", "书面决定文号", required=False),
]


def _plan(values: dict[str, Any]) -> Mapping[str, Any]:
    """`2026-05-01 100.00；2026-06-01 100.00` as instalments."""
    parts = [part.split() for part in values.pop("instalments", "").replace("；", ";").split(";") if part.strip()]
    if any(len(part) != 2 for part in parts):
        raise Refused("分期请写成：日期 金额；日期 金额")
    instalments = [{"due_on": due_on, "amount_fen": fen_of(amount, "分期金额")} for due_on, amount in parts]
    return values | {"instalments": instalments}

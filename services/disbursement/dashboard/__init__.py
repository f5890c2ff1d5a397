"""Disbursement in the console: cycles, payments, what differs, recoveries, funds, registers; each person's account."""

from __future__ import annotations

from libs.common.dashboard import Page, Panel, Work
from services.disbursement.dashboard.cases import cases
from services.disbursement.dashboard.cycles import cycles
from services.disbursement.dashboard.funds import funds
from services.disbursement.dashboard.heirs import heirs
from services.disbursement.dashboard.institutions import institutions
from services.disbursement.dashboard.payments import payments
from services.disbursement.dashboard.persons import person_account, person_payments
from services.disbursement.dashboard.recoveries import recoveries
from services.disbursement.dashboard.statistics import statistics
from services.disbursement.dashboard.tolerance import tolerance
from services.disbursement.dashboard.words import PAYMENT_STATUSES
from services.disbursement.dashboard.work_funds import work_funds

__all__ = ["PAGES", "PERSON_PANELS", "STORY", "WORK"]

PAGES = [
    Page("/cycles", "发放批次", "event_repeat", cycles),
    Page("/payments", "发放明细", "payments", payments),
    Page("/cases", "对账与问题", "rule", cases),
    Page("/recoveries", "追回", "undo", recoveries),
    Page("/funds", "资金账目", "account_balance", funds),
    Page("/statistics", "统计报表", "bar_chart", statistics),
    Page("/heirs", "继承人", "family_restroom", heirs),
    Page("/institutions", "机构代管资金", "child_care", institutions),
    Page("/tolerance", "容错纠错", "balance", tolerance),
    Page("/work-funds", "工作经费", "receipt_long", work_funds),
]
PERSON_PANELS = [Panel("应发与已发（元）", person_account), Panel("发放明细", person_payments)]
WORK = [
    Work("待会签的发放批次", "/cycles?status=draft", ("cdpf",), "/v1/cycles", {"status": "draft"}),
    Work("待审批的发放批次", "/cycles?status=concurred", ("finance",), "/v1/cycles", {"status": "concurred"}),
    Work("待提交银行的发放批次", "/cycles?status=approved", ("finance",), "/v1/cycles", {"status": "approved"}),
    Work("待提供证明的继承人", "/heirs?status=awaited", ("township",), "/v1/heirs", {"status": "awaited"}),
    Work("待批准的继承人", "/heirs?status=proposed", ("civil_affairs",), "/v1/heirs", {"status": "proposed"}),
    Work("未销号的问题", "/cases?resolved=false", ("civil_affairs", "finance"), "/v1/cases", {"resolved": "false"}),
    Work("追回中的多发款项", "/recoveries?status=open", ("civil_affairs",), "/v1/recoveries", {"status": "open"}),
]
STORY = {
    **{f"payment.{status}": f"发放：{chinese}" for status, (chinese, _) in PAYMENT_STATUSES.items()},
    "cycle.held": "本期暂缓发放",
    "cycle.unpayable": "本期无法发放",
    "cycle.dropped": "提交前剔除",
    "finding.open": "因核实暂缓发放",
    "finding.dismissed": "核实排除，解除暂缓",
    "finding.confirmed": "核实确认",
    "entitlement.changed": "收到应发月份",
    "opening.entered": "登记期初已发",
    "recovery.open": "追回立案",
    "recovery.closed": "追回结案",
    "recovery.repaid": "已退回",
    "alive": "去世",
}

"""Disbursement in the console: cycles, payments, what differs, recoveries, funds, registers; each person's account."""

from __future__ import annotations

from libs.common.dashboard import Page, Panel
from services.disbursement.dashboard.cases import cases
from services.disbursement.dashboard.cycles import cycles
from services.disbursement.dashboard.funds import funds
from services.disbursement.dashboard.institutions import institutions
from services.disbursement.dashboard.payments import payments
from services.disbursement.dashboard.persons import person_account, person_payments
from services.disbursement.dashboard.recoveries import recoveries
from services.disbursement.dashboard.statistics import statistics
from services.disbursement.dashboard.tolerance import tolerance
from services.disbursement.dashboard.work_funds import work_funds

PAGES = [
    Page("/cycles", "发放批次", "event_repeat", cycles),
    Page("/payments", "发放明细", "payments", payments),
    Page("/cases", "对账与问题", "rule", cases),
    Page("/recoveries", "追回", "undo", recoveries),
    Page("/funds", "资金账目", "account_balance", funds),
    Page("/statistics", "统计报表", "bar_chart", statistics),
    Page("/institutions", "机构代管资金", "child_care", institutions),
    Page("/tolerance", "容错纠错", "balance", tolerance),
    Page("/work-funds", "工作经费", "receipt_long", work_funds),
]
PERSON_PANELS = [Panel("应发与已发（元）", person_account), Panel("发放明细", person_payments)]

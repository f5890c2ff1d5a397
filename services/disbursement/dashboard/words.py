"""The words of disbursement's pages."""

from __future__ import annotations

from nicegui import ui

from libs.common.clock import business_today
from libs.common.dashboard import Filter, Words, options_of
from libs.common.period import Period

CYCLE_STATUSES: Words = {
    "draft": ("已编制", "busy"),
    "concurred": ("残联已会签", "busy"),
    "approved": ("财政已审批", "busy"),
    "submitted": ("已提交银行", "busy"),
    "settled": ("银行已回盘", "good"),
    "closed": ("已对账关闭", "good"),
}
PAYMENT_STATUSES: Words = {
    "pending": ("待发送", "quiet"),
    "sent": ("在途", "busy"),
    "settled": ("已到账", "good"),
    "failed": ("失败", "bad"),
    "returned": ("退回", "bad"),
}
OUTCOMES: Words = {
    "payable": ("应发", "good"),
    "held": ("暂缓", "busy"),
    "unpayable": ("暂不能发放", "bad"),
    "dropped": ("提交前剔除", "quiet"),
}
RECOVERY_STATUSES: Words = {"open": ("追回中", "busy"), "closed": ("已结案", "good")}
CASE_STATUSES: Words = {"open": ("待处理", "bad"), "assigned": ("整改中", "busy"), "resolved": ("已销号", "good")}
ACCOUNTS = {
    "appropriated": "下达",
    "brought_forward": "期初转入",
    "available": "可用",
    "committed": "待发",
    "clearing": "在途",
    "paid": "已发",
    "institution_funds": "机构代管",
    "receivable": "应追回",
    "refunded": "缴回国库",
    "written_off": "核销",
}


def status_filter(words: Words) -> Filter:
    return Filter("status", "状态", options_of(words))


def period_filter() -> Filter:
    return Filter("period", "月份", hint="例如 2026-03")


def this_month() -> Period:
    return Period.of(business_today())


def again() -> None:
    """Shows the page anew, after something was done."""
    ui.navigate.reload()

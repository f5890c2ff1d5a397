"""Payments (发放明细) with what the bank said, and what is to be done about it."""

from __future__ import annotations

from libs.common.dashboard import (
    PERSON,
    SHORT_SUBSIDIES,
    Column,
    Desk,
    area_filter,
    as_area,
    as_words,
    as_yuan,
    heading,
)
from libs.common.listing import listing
from services.disbursement.dashboard.words import PAYMENT_STATUSES, period_filter, status_filter

COLUMNS = [
    Column("period", "月份"),
    Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
    Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
    Column("attempt", "第几次", numeric=True),
    Column("status", "状态", words=PAYMENT_STATUSES),
    Column("settled_on", "到账日期"),
    Column("says", "银行说明"),
    Column("remedy", "处理办法", wide=True),
]


async def payments(desk: Desk) -> None:
    heading("发放明细", "每人每月每项补贴一笔，含银行回执；失败或退回的，更正账户后重新发放")
    await listing(
        desk,
        "/v1/payments",
        [PERSON, Column("area", "地区", show=as_area), *COLUMNS],
        [area_filter(desk), period_filter(), status_filter(PAYMENT_STATUSES)],
    )

"""A person's account month by month, and why each month is what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.dashboard import (
    SHORT_SUBSIDIES,
    Column,
    Desk,
    as_moment,
    as_text,
    as_words,
    as_yuan,
    dialog,
    facts,
    subheading,
    table,
)
from libs.common.listing import listing
from services.disbursement.dashboard.payments import COLUMNS


async def person_account(desk: Desk, person_id: str) -> None:
    """Per subsidy and month: entitled, paid, in flight, held, owed, overpaid."""
    await listing(
        desk,
        f"/v1/persons/{person_id}/account",
        [
            Column("period", "月份"),
            Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
            Column("entitled_fen", "应发", show=as_yuan, numeric=True),
            Column("paid_fen", "已发", show=as_yuan, numeric=True),
            Column("in_flight_fen", "在途", show=as_yuan, numeric=True),
            Column("held_fen", "暂缓", show=as_yuan, numeric=True),
            Column("owed_fen", "欠发", show=as_yuan, numeric=True),
            Column("overpaid_fen", "多发", show=as_yuan, numeric=True),
            Column("says", "原因", wide=True),
        ],
        empty="没有发放记录",
        on_open=lambda row: _open_month(desk, person_id, row),
    )


async def _open_month(desk: Desk, person_id: str, row: Mapping[str, Any]) -> None:
    month = await desk.rest.get(f"/v1/persons/{person_id}/account/{row['subsidy']}/{row['period']}")
    with dialog(f"{month['period']} {SHORT_SUBSIDIES[month['subsidy']][0]}"):
        facts(
            [
                ("应发（元）", as_yuan(month["entitled_fen"])),
                ("已发（元）", as_yuan(month["paid_fen"])),
                ("其中抵扣（元）", as_yuan(month["offset_fen"])),
                ("在途（元）", as_yuan(month["in_flight_fen"])),
                ("暂缓（元）", as_yuan(month["held_fen"])),
                ("欠发（元）", as_yuan(month["owed_fen"])),
                ("多发（元）", as_yuan(month["overpaid_fen"])),
                ("未发原因", as_text(month["says"])),
            ]
        )
        subheading("来龙去脉")
        table(
            [
                Column("at", "时间", show=as_moment),
                Column("title", "事项"),
                Column("amount_fen", "金额（元）", show=as_yuan, numeric=True),
                Column("says", "说明", wide=True),
                Column("by", "经办或依据", wide=True),
                Column("reference", "编号", mono=True),
            ],
            month["causes"],
        )


async def person_payments(desk: Desk, person_id: str) -> None:
    answer = await desk.rest.get(f"/v1/persons/{person_id}/payments")
    table(COLUMNS, answer["items"], empty="没有发放记录")

"""The roster of a cycle (发放花名册): who is paid what for which month, and who is not, and why."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import xlsxwriter
from sqlalchemy import text

from libs.common.areas import full_name_of
from libs.common.database import Transaction
from libs.common.money import yuan_text
from libs.common.privacy import Sealer
from libs.common.vocabulary import SUBSIDY_NAMES
from services.disbursement.payee import OBSTACLE_NAMES

_COLUMNS = ("序号", "姓名", "补贴项目", "等级", "所属月份", "金额（元）", "收款人", "账号后四位", "状态", "说明")
_STATES = {
    "pending": "待发",
    "sent": "已送银行",
    "settled": "已发放",
    "failed": "发放失败",
    "returned": "退票",
    "held": "暂缓",
    "unpayable": "暂不能发放",
    "dropped": "已剔除",
}


async def roster_rows(tx: Transaction, sealer: Sealer, cycle_id: UUID) -> list[tuple[Any, ...]]:
    """One row per person, subsidy and month of the cycle, in the order of the paper, without the running number."""
    found = await tx.connection.execute(
        text(
            "SELECT i.*, y.person_name, y.holder_name, y.number_last4 FROM ("
            " SELECT person_id, subsidy, period, amount_fen, level, status AS state, code AS reason FROM payments"
            " WHERE cycle_id = :id UNION ALL"
            " SELECT person_id, subsidy, period, amount_fen, NULL, outcome, reason FROM cycle_exceptions"
            " WHERE cycle_id = :id) AS i LEFT JOIN payees y USING (person_id)"
            " ORDER BY i.subsidy DESC, i.person_id, i.period"
        ),
        {"id": cycle_id},
    )

    def opened(sealed: str | None, person_id: str, column: str) -> str:
        return sealer.open(sealed, "payees", person_id, column) if sealed else ""

    return [
        (
            opened(row.person_name, row.person_id, "person_name"),
            SUBSIDY_NAMES[row.subsidy],
            row.level or "",
            f"{row.period:%Y-%m}",
            row.amount_fen,
            opened(row.holder_name, row.person_id, "holder_name"),
            row.number_last4 or "",
            _STATES[row.state],
            OBSTACLE_NAMES.get(row.reason, row.reason or ""),
        )
        for row in found
    ]


def roster_workbook(found: Sequence[tuple[Any, ...]], cycle: dict[str, Any], *, drawn_by: str, on: date) -> bytes:
    """The paper as Excel, with its area, period, date and who made it."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet("发放花名册")
        title = book.add_format({"bold": True, "font_size": 16, "align": "center"})
        heading = book.add_format({"bold": True, "border": 1, "align": "center"})
        cell, money = book.add_format({"border": 1}), book.add_format({"border": 1, "num_format": "0.00"})
        sheet.merge_range(0, 0, 0, len(_COLUMNS) - 1, "残疾人两项补贴发放花名册", title)
        made = f"{full_name_of(cycle['area'], on)}（{cycle['area']}）  {cycle['period']}  制表：{drawn_by}  {on}"
        sheet.write(1, 0, made)
        sheet.write_row(2, 0, _COLUMNS, heading)
        for number, row in enumerate(found, start=1):
            sheet.write_row(2 + number, 0, (number, *row), cell)
            sheet.write_number(2 + number, 5, row[4] / 100, money)
        paid_fen = sum(row[4] for row in found if row[7] in ("待发", "已送银行", "已发放"))
        sheet.write(3 + len(found), 0, f"合计应发（元）：{yuan_text(paid_fen)}")
        sheet.set_column(1, len(_COLUMNS) - 1, 16)
        sheet.freeze_panes(3, 0)
    return file.getvalue()

"""The bank file (代发文件) and its results (回盘), for platforms without REST: the same payments, keys and rules."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.money import yuan_text
from libs.common.privacy import Sealer
from services.disbursement.bank import Statement, StatementLine
from services.disbursement.handlers.deliveries import note_unknown_payment
from services.disbursement.handlers.papers import transfers
from services.disbursement.handlers.statements import take_statement

_HEADINGS = ("payment_id", "收款人", "账号", "开户行", "金额（元）", "补贴项目", "发放周期", "主管部门", "手机号")


async def write_bank_file(tx: Transaction, sealer: Sealer, cycle_id: UUID) -> bytes:
    """Every payment of the cycle that was prepared for the bank, as it was prepared: CSV, UTF-8 with a mark."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEADINGS)
    writer.writerows(
        (
            item["payment_id"],
            item["payee_name"],
            item["account"],
            item["bank"],
            yuan_text(item["amount_fen"]),
            item["project"],
            item["period_text"],
            item["department"],
            item["phone"] or "",
        )
        for item in await transfers(tx, sealer, cycle_id)
    )
    return out.getvalue().encode("utf-8-sig")


async def take_bank_results(
    tx: Transaction, cycle_id: UUID, lines: Sequence[StatementLine], *, on: date
) -> dict[str, int]:
    """Takes the bank's results of a cycle in, as its statement; how many are of this cycle and how many of none."""
    places = {
        row.payment_id: row.batch_id
        for row in await tx.connection.execute(
            text("SELECT payment_id, batch_id FROM payments WHERE cycle_id = :id AND batch_id IS NOT NULL"),
            {"id": cycle_id},
        )
    }
    unknown = [line for line in lines if line.payment_id not in places]
    for line in unknown:
        await note_unknown_payment(tx, str(line.payment_id), f"bank-results {line.status}")
    for batch_id in sorted({places[line.payment_id] for line in lines if line.payment_id in places}):
        items = tuple(line for line in lines if places.get(line.payment_id) == batch_id)
        await take_statement(tx, Statement(batch_id=batch_id, items=items), on=on)
        await _finish_if_answered(tx, batch_id)
    return {"taken_in": len(lines) - len(unknown), "unknown": len(unknown)}


async def _finish_if_answered(tx: Transaction, batch_id: UUID) -> None:
    await tx.connection.execute(
        text(
            "UPDATE batches SET state = 'done', due_at = NULL, accepted_at = coalesce(accepted_at, :now)"
            " WHERE batch_id = :id AND NOT EXISTS"
            " (SELECT FROM payments WHERE batch_id = :id AND status = 'sent')"
        ),
        {"id": batch_id, "now": tx.now},
    )

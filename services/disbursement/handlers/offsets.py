"""Setting off a recovery against later payments (抵扣; notice 7.1), by consent or written decision only.

A payment carries what is kept from it. It counts as repaid on the day that the rest is paid: until then the claim is
outstanding, and a failed payment leaves it as it was. A month is paid by what was transferred and what was set off.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import text

from libs.common.database import Transaction, new_id
from services.disbursement import ledger
from services.disbursement.handlers.books import book
from services.disbursement.handlers.overpayments import grow_version, load, tell_state
from services.disbursement.handlers.recoveries import reduce_outstanding
from services.disbursement.ledger import Book


async def confirm_offset(tx: Transaction, payment: dict[str, Any], *, on: date) -> dict[str, Any]:
    """What of the offset is still claimed as the payment settles. The rest was neither paid nor repaid: the payment is
    that much less, and the person is owed it again. The fields of the payment that change."""
    if not payment["offset_fen"]:
        return {}
    case = await load(tx, payment["offset_recovery_id"])
    too_much_fen = payment["offset_fen"] - min(payment["offset_fen"], case["outstanding_fen"])
    if not too_much_fen:
        return {}
    changed = {
        "amount_fen": payment["amount_fen"] - too_much_fen,
        "offset_fen": payment["offset_fen"] - too_much_fen,
    }
    await tx.connection.execute(
        text(
            "UPDATE payments SET amount_fen = :amount_fen, offset_fen = :offset_fen"
            " WHERE payment_id = :id AND period = :period"
        ),
        {"id": payment["payment_id"], "period": payment["period"], **changed},
    )
    if payment["status"] == "sent":  # of a failed payment all is available already
        budget = Book(payment["book_area"], payment["subsidy"], payment["book_year"])
        await book(
            tx,
            [
                ledger.release_offset(
                    budget, str(payment["payment_id"]), too_much_fen, person_id=payment["person_id"], on=on
                )
            ],
        )
    return changed


async def apply_offset(tx: Transaction, payment: dict[str, Any], *, on: date) -> None:
    """The payment settled: what was kept from it is repaid, and goes to the treasury."""
    repayment_id = new_id()
    case = await load(tx, payment["offset_recovery_id"])
    await reduce_outstanding(
        tx,
        case,
        payment["offset_fen"],
        column="repaid_fen",
        cause_id=str(repayment_id),
        entry=ledger.repay,
        on=on,
    )
    await tx.connection.execute(
        text(
            "INSERT INTO repayments (repayment_id, recovery_id, amount_fen, repaid_on, payment_id, recorded_by)"
            " VALUES (:repayment_id, :recovery_id, :amount_fen, :on, :payment_id, 'offset')"
        ),
        {
            "repayment_id": repayment_id,
            "recovery_id": case["recovery_id"],
            "amount_fen": payment["offset_fen"],
            "on": on,
            "payment_id": payment["payment_id"],
        },
    )
    await grow_version(tx, case["recovery_id"])
    await tell_state(tx, case["recovery_id"], on=on)


async def reverse_offset(tx: Transaction, payment: dict[str, Any], *, on: date) -> None:
    """The bank returned the payment: the month is owed in full again, so nothing of the claim was repaid by it."""
    repaid = (
        await tx.connection.execute(
            text(
                "UPDATE repayments SET reversed_on = :on WHERE payment_id = :id AND reversed_on IS NULL"
                " RETURNING repayment_id, recovery_id, amount_fen"
            ),
            {"id": payment["payment_id"], "on": on},
        )
    ).one_or_none()
    if repaid is None:
        return
    case = await load(tx, repaid.recovery_id)
    left_fen = repaid.amount_fen
    for month in sorted(case["months"], key=lambda month: month["period"], reverse=True):
        back_fen = min(left_fen, month["repaid_fen"])
        if back_fen == 0:
            continue
        left_fen -= back_fen
        row = (
            await tx.connection.execute(
                text(
                    "UPDATE recovery_months SET repaid_fen = repaid_fen - :fen"
                    " WHERE recovery_id = :id AND period = :period RETURNING book_area, book_year"
                ),
                {"id": repaid.recovery_id, "fen": back_fen, "period": month["period"].first_day},
            )
        ).one()
        budget = Book(row.book_area, payment["subsidy"], row.book_year)
        cause_id = f"{repaid.repayment_id}/{month['period']}"
        await book(tx, [ledger.reverse_repayment(budget, cause_id, back_fen, person_id=payment["person_id"], on=on)])
    await grow_version(tx, repaid.recovery_id)
    await tell_state(tx, repaid.recovery_id, on=on)

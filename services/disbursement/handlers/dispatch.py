"""Dispatch: payments of submitted cycles go to the bank in batches.

The intent comes first: a batch and its payments are marked as sent and committed before the bank hears of them, so that
whatever happens then, the same batch is handed over again under the same keys until the bank acknowledges it. The bank
is never called inside a transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Database, Transaction, new_id
from libs.common.period import Period
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy
from services.disbursement import ledger
from services.disbursement.bank import Bank, Batch, BatchRefused, OutcomeUnknown, Transfer
from services.disbursement.handlers.books import book
from services.disbursement.handlers.cases import open_case
from services.disbursement.handlers.locks import is_locked
from services.disbursement.handlers.submission import drop_stopped
from services.disbursement.ledger import Book

STATEMENT_AFTER = timedelta(seconds=5)
"""How long webhooks have before the statement is asked for."""

_LONGEST_PAUSE_S = 60


async def prepare_next_batch(tx: Transaction, settings: Settings, sealer: Sealer, *, on: date) -> bool:
    """Takes the next payments of a submitted cycle, drops what was stopped up to this moment, and marks the rest as
    sent, in a batch that waits to be handed over. False when nothing is left to send."""
    if await is_locked(tx):
        return False
    cycle = (
        await tx.connection.execute(
            text(
                "SELECT c.cycle_id, c.period FROM cycles c WHERE c.status = 'submitted' AND EXISTS (SELECT FROM"
                " payments p WHERE p.cycle_id = c.cycle_id AND p.status = 'pending') ORDER BY c.submitted_at LIMIT 1"
            )
        )
    ).one_or_none()
    if cycle is None:
        return False
    picked = list(
        (
            await tx.connection.execute(
                text(
                    "SELECT payment_id FROM payments WHERE cycle_id = :id AND status = 'pending' AND subsidy ="
                    " (SELECT min(subsidy) FROM payments WHERE cycle_id = :id AND status = 'pending')"
                    " LIMIT :size FOR UPDATE SKIP LOCKED"
                ),
                {"id": cycle.cycle_id, "size": settings.bank_batch_size},
            )
        ).scalars()
    )
    if not picked:
        return False
    batch_id = new_id()
    released = await drop_stopped(tx, cycle.cycle_id, picked)
    await book(tx, [ledger.release(budget, str(batch_id), fen, on=on) for budget, fen in released if budget])
    sent = await mark_sent(tx, cycle.cycle_id, batch_id, picked)
    if sent:
        await store_batch(tx, settings, sealer, cycle.cycle_id, Period.of(cycle.period), batch_id, sent)
        await book_sending(tx, batch_id, sent, on=on)
    return True


async def mark_sent(
    tx: Transaction, cycle_id: UUID, batch_id: UUID, picked: Sequence[UUID]
) -> Sequence[dict[str, Any]]:
    """Marks those of `picked` that are pending as sent in this batch: what they are, and whom they go to."""
    found = await tx.connection.execute(
        text(
            "UPDATE payments p SET status = 'sent', version = p.version + 1, batch_id = :batch_id,"
            " payee_version = y.version, holder = y.holder FROM payable_to y"
            " WHERE p.cycle_id = :cycle_id AND p.status = 'pending' AND p.payment_id = ANY(CAST(:picked AS uuid[]))"
            " AND y.person_id = p.person_id"
            " RETURNING p.payment_id, p.person_id, p.period, p.subsidy, p.amount_fen, p.offset_fen,"
            " p.book_area, p.book_year, y.holder_name, y.bank, y.number, y.phone"
        ),
        {"cycle_id": cycle_id, "batch_id": batch_id, "picked": list(picked)},
    )
    return [dict(row) for row in found.mappings()]


async def book_sending(tx: Transaction, batch_id: UUID, sent: Sequence[dict[str, Any]], *, on: date) -> None:
    """The money of a batch is on its way."""
    await book(tx, [ledger.send(budget, str(batch_id), fen, on=on) for budget, fen in _by_book(sent).items()])


def _by_book(sent: Sequence[dict[str, Any]]) -> dict[Book, int]:
    totals: dict[Book, int] = defaultdict(int)
    for row in sent:
        totals[Book(row["book_area"], row["subsidy"], row["book_year"])] += row["amount_fen"]
    return totals


async def store_batch(
    tx: Transaction,
    settings: Settings,
    sealer: Sealer,
    cycle_id: UUID,
    period: Period,
    batch_id: UUID,
    sent: Sequence[dict[str, Any]],
) -> None:
    subsidy: Subsidy = sent[0]["subsidy"]
    request = Batch(
        batch_id=batch_id,
        period=period,
        department=settings.department,
        project=SUBSIDY_NAMES[subsidy],
        items=tuple(_transfer(sealer, row) for row in sent),
    )
    await tx.connection.execute(
        text(
            "INSERT INTO batches (batch_id, cycle_id, payments, amount_fen, department, request, due_at)"
            " VALUES (:batch_id, :cycle_id, :payments, :amount_fen, :department, :request, :now)"
        ),
        {
            "batch_id": batch_id,
            "cycle_id": cycle_id,
            "payments": len(sent),
            "amount_fen": sum(row["amount_fen"] - row["offset_fen"] for row in sent),
            "department": settings.department,
            "request": sealer.seal(request.model_dump_json(), "batches", batch_id, "request"),
            "now": tx.now,
        },
    )


def _transfer(sealer: Sealer, row: dict[str, Any]) -> Transfer:
    def opened(column: str) -> str:
        return sealer.open(row[column], "payees", row["person_id"], column)

    period = Period.of(row["period"])
    return Transfer(
        payment_id=row["payment_id"],
        payee_name=opened("holder_name"),
        account=opened("number"),
        bank=row["bank"],
        amount_fen=row["amount_fen"] - row["offset_fen"],
        period_text=f"{period.year}年{period.month}月",
        phone=opened("phone") if row["phone"] else None,
    )


async def batches_to_hand_over(tx: Transaction) -> list[UUID]:
    """Batches for REST that the bank has not acknowledged and that are due to be handed over (again)."""
    found = await tx.connection.execute(
        text(
            "SELECT batch_id FROM batches JOIN cycles USING (cycle_id) WHERE state IN ('prepared', 'unknown')"
            " AND due_at <= :now AND channel = 'rest'"
            " AND NOT EXISTS (SELECT FROM restore_locks WHERE released_at IS NULL) ORDER BY due_at LIMIT 10"
        ),
        {"now": tx.now},
    )
    return list(found.scalars())


async def hand_over(database: Database, bank: Bank, sealer: Sealer, batch_id: UUID) -> None:
    """Hands a batch to the bank. No answer: the next time its statement is asked for first, then it is sent again."""
    async with database.transaction() as tx:
        batch = (
            await tx.connection.execute(
                text("SELECT state, request FROM batches WHERE batch_id = :id"), {"id": batch_id}
            )
        ).one()
    if batch.state not in ("prepared", "unknown"):
        return
    request = Batch.model_validate_json(sealer.open(batch.request, "batches", batch_id, "request"))
    try:
        if batch.state == "prepared" or await bank.statement(batch_id) is None:
            await bank.send(request)
    except OutcomeUnknown:
        async with database.transaction() as tx:
            await _note_unknown(tx, batch_id)
    except BatchRefused as refusal:
        async with database.transaction() as tx:
            await _note_refused(tx, batch_id, str(refusal))
    else:
        async with database.transaction() as tx:
            await note_accepted(tx, batch_id)


async def note_accepted(tx: Transaction, batch_id: UUID) -> None:
    await tx.connection.execute(
        text(
            "UPDATE batches SET state = 'accepted', accepted_at = :now, attempts = 0, due_at = :due_at"
            " WHERE batch_id = :id AND state IN ('prepared', 'unknown')"
        ),
        {"id": batch_id, "now": tx.now, "due_at": tx.now + STATEMENT_AFTER},
    )


async def _note_unknown(tx: Transaction, batch_id: UUID) -> None:
    await tx.connection.execute(
        text(
            "UPDATE batches SET state = 'unknown', attempts = attempts + 1,"
            " due_at = CAST(:now AS timestamptz) + least(power(2, attempts), :longest) * interval '1 second'"
            " WHERE batch_id = :id AND state IN ('prepared', 'unknown')"
        ),
        {"id": batch_id, "now": tx.now, "longest": _LONGEST_PAUSE_S},
    )


async def _note_refused(tx: Transaction, batch_id: UUID, because: str) -> None:
    """The payments stay sent, by our books, until a person has settled the matter with the bank."""
    row = (
        await tx.connection.execute(
            text(
                "UPDATE batches b SET state = 'refused', due_at = NULL FROM cycles c"
                " WHERE b.batch_id = :id AND c.cycle_id = b.cycle_id RETURNING c.area, c.period, c.cycle_id"
            ),
            {"id": batch_id},
        )
    ).one()
    await open_case(
        tx,
        "batch_refused",
        str(batch_id),
        area=row.area,
        period=Period.of(row.period),
        cycle_id=row.cycle_id,
        because=because,
    )

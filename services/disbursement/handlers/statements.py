"""The bank's statement: asked for while results are missing, and again to reconcile (notice 4.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Database, Transaction
from services.disbursement.bank import Bank, OutcomeUnknown, Statement, StatementLine
from services.disbursement.handlers.results import BankResult, record_results

_LONGEST_PAUSE_S = 60
_AT_ONCE = 4
"""How many statements are read side by side."""


async def batches_to_follow(tx: Transaction) -> list[UUID]:
    """Acknowledged batches that wait for results and whose statement is due to be read."""
    found = await tx.connection.execute(
        text("SELECT batch_id FROM batches WHERE state = 'accepted' AND due_at <= :now ORDER BY due_at LIMIT :limit"),
        {"now": tx.now, "limit": _AT_ONCE},
    )
    return list(found.scalars())


async def follow_batches(database: Database, bank: Bank, batch_ids: Sequence[UUID], *, on: date) -> None:
    """Reads the statements of batches for results that no webhook brought; a batch is done when all have one."""
    await asyncio.gather(*(_follow(database, bank, batch_id, on=on) for batch_id in batch_ids))


async def _follow(database: Database, bank: Bank, batch_id: UUID, *, on: date) -> None:
    async with database.transaction() as tx:
        if await _finish_if_answered(tx, batch_id):
            return
    try:
        statement = await bank.statement(batch_id)
    except OutcomeUnknown:
        statement = None
    async with database.transaction() as tx:
        if statement is not None:
            await take_statement(tx, statement, on=on)
        if not await _finish_if_answered(tx, batch_id):
            await _ask_again_later(tx, batch_id)


async def read_statements(database: Database, bank: Bank, batch_ids: Sequence[UUID], *, on: date) -> None:
    """Reads these statements afresh. Raises `OutcomeUnknown` if the bank does not answer."""
    for first in range(0, len(batch_ids), _AT_ONCE):
        await asyncio.gather(
            *(_read(database, bank, batch_id, on=on) for batch_id in batch_ids[first : first + _AT_ONCE])
        )


async def _read(database: Database, bank: Bank, batch_id: UUID, *, on: date) -> None:
    statement = await bank.statement(batch_id)
    if statement is not None:
        async with database.transaction() as tx:
            await take_statement(tx, statement, on=on)


async def take_statement(tx: Transaction, statement: Statement, *, on: date) -> None:
    """Keeps the lines as read, and takes in the results that we do not have yet.

    `on` dates a result whose own day the bank does not tell. A line about a payment that is not ours is kept: the
    reconciliation names it.
    """
    await _keep_lines(tx, statement, tx.now)
    found = await tx.connection.execute(
        text(
            "SELECT l.payment_id FROM statement_lines l JOIN payments p USING (payment_id)"
            " WHERE l.batch_id = :batch_id AND l.status <> 'accepted' AND l.status <> p.status"
        ),
        {"batch_id": statement.batch_id},
    )
    news = set(found.scalars())
    await record_results(
        tx, [told for line in statement.items if line.payment_id in news for told in results_of(line, on=on)]
    )


def results_of(line: StatementLine, *, on: date) -> list[BankResult]:
    """The results that a line stands for: a returned payment was settled before."""
    match line.status:
        case "accepted":
            return []
        case "settled":
            return [BankResult(line.payment_id, "settled", line.settled_on or on, line.bank_ref, told_by="statement")]
        case "failed":
            return [BankResult(line.payment_id, "failed", line.failed_on or on, code=line.code, told_by="statement")]
        case "returned":
            settled = BankResult(line.payment_id, "settled", line.settled_on or on, line.bank_ref, told_by="statement")
            returned = BankResult(
                line.payment_id, "returned", line.returned_on or on, code=line.code, told_by="statement"
            )
            return [settled, returned]


async def _keep_lines(tx: Transaction, statement: Statement, now: datetime) -> None:
    lines = statement.items
    await tx.connection.execute(
        text(
            "INSERT INTO statement_lines (payment_id, batch_id, amount_fen, status, bank_ref, code, settled_on,"
            " failed_on, returned_on, read_at) SELECT payment_id, :batch_id, amount_fen, status, bank_ref, code,"
            " settled_on, failed_on, returned_on, :now FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[]),"
            " CAST(:statuses AS text[]), CAST(:refs AS text[]), CAST(:codes AS text[]), CAST(:settled AS date[]),"
            " CAST(:failed AS date[]), CAST(:returned AS date[])) AS line (payment_id, amount_fen, status, bank_ref,"
            " code, settled_on, failed_on, returned_on) ORDER BY payment_id"
            " ON CONFLICT (payment_id) DO UPDATE SET batch_id = excluded.batch_id, amount_fen = excluded.amount_fen,"
            " status = excluded.status, bank_ref = excluded.bank_ref, code = excluded.code,"
            " settled_on = excluded.settled_on, failed_on = excluded.failed_on, returned_on = excluded.returned_on,"
            " read_at = excluded.read_at WHERE statement_lines.read_at <= excluded.read_at"
        ),
        {
            "batch_id": statement.batch_id,
            "now": now,
            "ids": [line.payment_id for line in lines],
            "amounts": [line.amount_fen for line in lines],
            "statuses": [line.status for line in lines],
            "refs": [line.bank_ref for line in lines],
            "codes": [line.code for line in lines],
            "settled": [line.settled_on for line in lines],
            "failed": [line.failed_on for line in lines],
            "returned": [line.returned_on for line in lines],
        },
    )


async def _finish_if_answered(tx: Transaction, batch_id: UUID) -> bool:
    done = await tx.connection.execute(
        text(
            "UPDATE batches SET state = 'done', due_at = NULL WHERE batch_id = :id AND state = 'accepted'"
            " AND NOT EXISTS (SELECT FROM payments WHERE batch_id = :id AND status = 'sent')"
        ),
        {"id": batch_id},
    )
    return done.rowcount == 1


async def _ask_again_later(tx: Transaction, batch_id: UUID) -> None:
    await tx.connection.execute(
        text(
            "UPDATE batches SET attempts = attempts + 1, due_at = CAST(:now AS timestamptz)"
            " + least(2 * power(2, attempts), :longest) * interval '1 second'"
            " WHERE batch_id = :id AND state = 'accepted'"
        ),
        {"id": batch_id, "now": tx.now, "longest": _LONGEST_PAUSE_S},
    )

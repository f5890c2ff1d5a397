"""A batch that the bank refused (a wrong key, a payment under another account) is taken back once its cause is mended:
its payments are pending again, are judged again, and go to the accounts of that day, under the same ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Database, Transaction, rows
from libs.common.errors import NotFound
from services.disbursement import ledger
from services.disbursement.bank import Bank
from services.disbursement.errors import WithTheBank, WrongState
from services.disbursement.handlers.books import book
from services.disbursement.handlers.locks import require_unlocked
from services.disbursement.handlers.restoring import OVERLAP
from services.disbursement.ledger import Book


async def recall_batch(
    database: Database, bank: Bank, principal: Principal, batch_id: UUID, *, reason: str, on: date
) -> Literal["recalled", "accepted"]:
    """Takes a refused batch back; or counts it as accepted, if the bank has all of it. The bank is asked first, outside
    any transaction. NotFound, `WrongState`, `WithTheBank`, `SubmissionLocked`; `OutcomeUnknown` without an answer."""
    async with database.transaction() as tx:
        batch = await _refused(tx, principal, batch_id)
    accepted = {line.payment_id for line in await bank.accepted_since(batch["prepared_at"] - OVERLAP)}
    async with database.transaction() as tx:
        await _refused(tx, principal, batch_id)
        await require_unlocked(tx)
        payments = await _payments_of(tx, batch_id)
        with_the_bank = [payment for payment in payments if payment["payment_id"] in accepted]
        if not with_the_bank:
            await _take_back(tx, batch_id, payments, on=on)
        elif len(with_the_bank) == len(payments):
            await _count_as_accepted(tx, batch_id)
        else:
            raise WithTheBank(f"the bank has {len(with_the_bank)} of its {len(payments)} payments")
        state: Literal["recalled", "accepted"] = "accepted" if with_the_bank else "recalled"
        await _resolve_case(tx, principal, batch_id, reason)
        await audit.record(tx, principal, "recall batch", str(batch_id), reason=reason, state=state)
        return state


async def _refused(tx: Transaction, principal: Principal, batch_id: UUID) -> dict[str, Any]:
    found = rows(
        await tx.connection.execute(
            text(
                "SELECT b.state, b.prepared_at, c.area FROM batches b JOIN cycles c USING (cycle_id)"
                " WHERE b.batch_id = :id FOR UPDATE OF b"
            ),
            {"id": batch_id},
        )
    )
    if not found:
        raise NotFound("no such batch")
    principal.require_sight(found[0]["area"], "batch")
    if found[0]["state"] != "refused":
        raise WrongState(f"the batch is {found[0]['state']}, not refused")
    return found[0]


async def _payments_of(tx: Transaction, batch_id: UUID) -> Sequence[dict[str, Any]]:
    found = await tx.connection.execute(
        text(
            "SELECT payment_id, book_area, subsidy, book_year, amount_fen FROM payments"
            " WHERE batch_id = :id AND status = 'sent' FOR UPDATE"
        ),
        {"id": batch_id},
    )
    return rows(found)


async def _take_back(tx: Transaction, batch_id: UUID, payments: Sequence[dict[str, Any]], *, on: date) -> None:
    for statement in (
        "UPDATE batches SET state = 'recalled' WHERE batch_id = :id",
        "UPDATE payments SET status = 'pending', version = version + 1, batch_id = NULL, payee_version = NULL,"
        " holder = NULL WHERE batch_id = :id AND status = 'sent'",
    ):
        await tx.connection.execute(text(statement), {"id": batch_id})
    totals: dict[Book, int] = defaultdict(int)
    for row in payments:
        totals[Book(row["book_area"], row["subsidy"], row["book_year"])] += row["amount_fen"]
    await book(tx, [ledger.recall(budget, str(batch_id), fen, on=on) for budget, fen in totals.items()])


async def _count_as_accepted(tx: Transaction, batch_id: UUID) -> None:
    await tx.connection.execute(
        text("UPDATE batches SET state = 'accepted', accepted_at = :now, due_at = :now WHERE batch_id = :id"),
        {"id": batch_id, "now": tx.now},
    )


async def _resolve_case(tx: Transaction, principal: Principal, batch_id: UUID, reason: str) -> None:
    await tx.connection.execute(
        text(
            "UPDATE cases SET resolved_at = :now, resolved_by = :sub, resolution = :reason"
            " WHERE kind = 'batch_refused' AND subject = :batch_id AND resolved_at IS NULL"
        ),
        {"now": tx.now, "sub": principal.sub, "reason": reason, "batch_id": str(batch_id)},
    )

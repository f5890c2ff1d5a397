"""Dispatch: payments of submitted cycles go to the bank in batches.

The intent comes first: a batch and its payments are marked as sent and committed before the bank hears of them, so that
whatever happens then, the same batch is handed over again under the same keys until the bank acknowledges it. The bank
is never called inside a transaction.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Database, Transaction, new_id, rows
from libs.common.period import Period
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from libs.common.vocabulary import SUBSIDY_NAMES
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
_BATCHES_AT_ONCE = 4
"""How many are prepared in one transaction."""
_BATCHES_AHEAD = 16
"""How many may wait for the bank before more payments are bound to an account."""
_MADE_UP_FOR = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Bound:
    """A payment, which its month finds without asking every other, and the batch that it goes out in."""

    payment_id: UUID
    month: date
    batch_id: UUID


async def prepare_batches(tx: Transaction, settings: Settings, sealer: Sealer, *, on: date) -> bool:
    """Takes the next payments of a submitted cycle, drops what was stopped up to this moment, and marks the rest as
    sent, in batches that wait to be handed over. False when nothing is left to send, or enough waits already: what is
    not marked yet follows a change of account."""
    if await is_locked(tx):
        return False
    cycle = (
        await tx.connection.execute(
            text(
                "SELECT c.cycle_id, c.period FROM cycles c WHERE c.status = 'submitted' AND (c.channel = 'file' OR"
                " (SELECT count(*) FROM batches b JOIN cycles o USING (cycle_id) WHERE b.due_at IS NOT NULL"
                " AND b.state IN ('prepared', 'unknown') AND o.channel = 'rest') < :ahead)"
                " AND EXISTS (SELECT FROM payments p WHERE p.cycle_id = c.cycle_id AND p.status = 'pending')"
                " ORDER BY c.submitted_at LIMIT 1"
            ),
            {"ahead": _BATCHES_AHEAD},
        )
    ).one_or_none()
    if cycle is None:
        return False
    picked = await _pick(tx, cycle.cycle_id, settings.bank_batch_size)
    if not picked:
        return False
    released = await drop_stopped(tx, cycle.cycle_id, {each.payment_id: each.month for each in picked})
    cause_id = str(picked[0].batch_id)
    await book(tx, [ledger.release(budget, cause_id, fen, on=on) for budget, fen in released if budget])
    sent = await mark_sent(tx, cycle.cycle_id, picked)
    await _store_batches(tx, settings, sealer, cycle.cycle_id, Period.of(cycle.period), sent)
    await book_sending(tx, sent, on=on)
    return True


async def _pick(tx: Transaction, cycle_id: UUID, size: int) -> list[Bound]:
    """Payments that nobody else is preparing, in batches of one subsidy and at most `size`."""
    picked = await tx.connection.execute(
        text(
            "SELECT payment_id, period, subsidy FROM payments WHERE cycle_id = :id AND status = 'pending'"
            " LIMIT :limit FOR UPDATE SKIP LOCKED"
        ),
        {"id": cycle_id, "limit": _BATCHES_AT_ONCE * size},
    )
    by_subsidy: dict[str, list[Any]] = defaultdict(list)
    for row in picked:
        by_subsidy[row.subsidy].append(row)
    return [
        Bound(row.payment_id, row.period, batch_id)
        for members in by_subsidy.values()
        for first in range(0, len(members), size)
        for batch_id in [new_id()]
        for row in members[first : first + size]
    ]


async def mark_sent(
    tx: Transaction, cycle_id: UUID, bound: Sequence[Bound], *, by_us: bool = True
) -> Sequence[dict[str, Any]]:
    """Marks those of these payments that are pending as sent, each in its batch: what they are, and whom they go to.

    `by_us`: what has lost its account at this very moment stays; what the bank paid is sent whatever stands in the way.
    """
    found = await tx.connection.execute(
        text(
            "UPDATE payments p SET status = 'sent', version = p.version + 1, batch_id = b.batch_id,"
            " payee_version = y.version, holder = y.holder"
            " FROM payable_to y, unnest(CAST(:payments AS uuid[]), CAST(:months AS date[]), CAST(:batches AS uuid[]))"
            " AS b (payment_id, month, batch_id)"
            " WHERE p.payment_id = b.payment_id AND p.period = b.month"
            " AND p.cycle_id = :cycle_id AND p.status = 'pending' AND y.person_id = p.person_id"
            " AND NOT (:by_us AND y.obstacle IS NOT NULL)"
            " RETURNING p.batch_id, p.payment_id, p.person_id, p.period, p.subsidy, p.amount_fen, p.offset_fen,"
            " p.book_area, p.book_year, y.holder_name, y.bank, y.number, y.phone"
        ),
        {
            "cycle_id": cycle_id,
            "payments": [each.payment_id for each in bound],
            "months": [each.month for each in bound],
            "batches": [each.batch_id for each in bound],
            "by_us": by_us,
        },
    )
    return rows(found)


async def book_sending(tx: Transaction, sent: Sequence[dict[str, Any]], *, on: date) -> None:
    """The money of these payments is on its way, batch by batch."""
    totals: dict[tuple[UUID, Book], int] = defaultdict(int)
    for row in sent:
        totals[row["batch_id"], Book(row["book_area"], row["subsidy"], row["book_year"])] += row["amount_fen"]
    await book(tx, [ledger.send(budget, str(batch_id), fen, on=on) for (batch_id, budget), fen in totals.items()])


def _by_batch(sent: Sequence[dict[str, Any]]) -> dict[UUID, list[dict[str, Any]]]:
    batches: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in sent:
        batches[row["batch_id"]].append(row)
    return batches


async def _store_batches(
    tx: Transaction,
    settings: Settings,
    sealer: Sealer,
    cycle_id: UUID,
    period: Period,
    sent: Sequence[dict[str, Any]],
) -> None:
    def sealed() -> dict[UUID, str]:
        return {
            batch_id: sealer.seal(
                Batch(
                    batch_id=batch_id,
                    period=period,
                    department=settings.department,
                    project=SUBSIDY_NAMES[members[0]["subsidy"]],
                    items=tuple(_transfer(sealer, row) for row in members),
                ).model_dump_json(),
                *("batches", batch_id, "request"),
            )
            for batch_id, members in _by_batch(sent).items()
        }

    # Thousands of names and numbers are unsealed: the event loop has others to serve meanwhile.
    await store_batches(tx, settings, cycle_id, sent, await asyncio.to_thread(sealed))


async def store_batches(
    tx: Transaction,
    settings: Settings,
    cycle_id: UUID,
    sent: Sequence[dict[str, Any]],
    requests: Mapping[UUID, str],
) -> None:
    """The batches of these payments, with what is to be handed over; none of what the bank has already."""
    if not sent:
        return
    await tx.connection.execute(
        text(
            "INSERT INTO batches (batch_id, cycle_id, payments, amount_fen, department, request, state, due_at,"
            " accepted_at) VALUES (:batch_id, :cycle_id, :payments, :amount_fen, :department, :request, :state, :now,"
            " CASE CAST(:state AS text) WHEN 'accepted' THEN CAST(:now AS timestamptz) END)"
        ),
        [
            {
                "batch_id": batch_id,
                "cycle_id": cycle_id,
                "payments": len(members),
                "amount_fen": sum(row["amount_fen"] - row["offset_fen"] for row in members),
                "department": settings.department,
                "request": requests.get(batch_id),
                "state": "prepared" if batch_id in requests else "accepted",
                "now": tx.now,
            }
            for batch_id, members in _by_batch(sent).items()
        ],
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


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch that is this worker's to hand over, until its claim runs out."""

    batch_id: UUID
    asked_before: bool
    request: str


async def claim_batches(tx: Transaction, settings: Settings, *, at_most: int) -> list[Claimed]:
    """Batches for REST that the bank has not acknowledged and that are due to be handed over (again). Nobody else
    takes them as long as the bank may take to answer; whoever dies meanwhile leaves them to the next. Where the bank is
    to be spared, none before its turn."""
    pace = settings.bank_payments_a_second
    if not at_most or (pace and not await _may_be_handed_more(tx)):
        return []
    found = await tx.connection.execute(
        text(
            "UPDATE batches SET due_at = CAST(:now AS timestamptz) + :claim_s * interval '1 second'"
            " WHERE batch_id IN (SELECT b.batch_id FROM batches b JOIN cycles USING (cycle_id)"
            " WHERE b.state IN ('prepared', 'unknown') AND b.due_at <= :now AND channel = 'rest'"
            " AND NOT EXISTS (SELECT FROM restore_locks WHERE released_at IS NULL)"
            " ORDER BY b.due_at LIMIT :limit FOR UPDATE OF b SKIP LOCKED)"
            " RETURNING batch_id, state = 'unknown' AS asked_before, request, payments"
        ),
        {"now": tx.now, "claim_s": settings.bank_timeout_s, "limit": at_most},
    )
    claimed = found.all()
    if pace and claimed:
        await _keep_pace(tx, sum(row.payments for row in claimed) / pace)
    return [Claimed(row.batch_id, row.asked_before, row.request) for row in claimed]


async def _may_be_handed_more(tx: Transaction) -> bool:
    """Whether it is time again; nobody else finds so before the end of the transaction."""
    found = await tx.connection.execute(
        text("SELECT true FROM bank_pace WHERE free_at <= :now FOR UPDATE"), {"now": tx.now}
    )
    return found.one_or_none() is not None


async def _keep_pace(tx: Transaction, taken_s: float) -> None:
    """What is handed over now takes so much of the bank's time. Of what it was spared before, only a moment is made up
    for: as long as a worker takes to look again."""
    await tx.connection.execute(
        text(
            "UPDATE bank_pace SET free_at = greatest(free_at, CAST(:now AS timestamptz) - CAST(:made_up AS interval))"
            " + CAST(:taken AS interval)"
        ),
        {"now": tx.now, "made_up": _MADE_UP_FOR, "taken": timedelta(seconds=taken_s)},
    )


async def hand_over(database: Database, bank: Bank, sealer: Sealer, claimed: Claimed) -> None:
    """Hands a batch to the bank. No answer: the next time its statement is asked for first, then it is sent again."""

    def opened() -> Batch:
        return Batch.model_validate_json(sealer.open(claimed.request, "batches", claimed.batch_id, "request"))

    request = await asyncio.to_thread(opened)
    try:
        if not claimed.asked_before or await bank.statement(claimed.batch_id) is None:
            await bank.send(request)
    except OutcomeUnknown:
        async with database.transaction() as tx:
            await _note_unknown(tx, claimed.batch_id)
    except BatchRefused as refusal:
        async with database.transaction() as tx:
            await note_refused(tx, claimed.batch_id, str(refusal))
    else:
        async with database.transaction() as tx:
            await note_accepted(tx, claimed.batch_id)


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


async def note_refused(tx: Transaction, batch_id: UUID, because: str) -> None:
    """The payments stay sent, by our books, until a person has settled the matter with the bank."""
    row = (
        await tx.connection.execute(
            text(
                "UPDATE batches b SET state = 'refused', due_at = NULL FROM cycles c WHERE b.batch_id = :id"
                " AND b.state IN ('prepared', 'unknown') AND c.cycle_id = b.cycle_id"
                " RETURNING c.area, c.period, c.cycle_id"
            ),
            {"id": batch_id},
        )
    ).one_or_none()
    if row is None:
        return  # another worker's request was accepted
    await open_case(
        tx,
        "batch_refused",
        str(batch_id),
        area=row.area,
        period=Period.of(row.period),
        cycle_id=row.cycle_id,
        because=because,
    )

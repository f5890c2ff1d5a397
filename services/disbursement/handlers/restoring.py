"""After the database was set back, the bank knows payments that the books do not: they are written back from the bank's
books before anything is sent, so that nothing is paid twice.

It is noticed by the identity of the database server, which a restore changes; by the bank, which is asked at every
start what it accepted since our last batch; by a result of a payment that was never sent; or an administrator says so.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Database, Transaction, rows
from libs.common.period import Period
from libs.common.settings import Settings
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy
from services.disbursement import ledger
from services.disbursement.bank import AcceptedTransfer, Bank, Statement
from services.disbursement.handlers.books import book
from services.disbursement.handlers.cases import open_case
from services.disbursement.handlers.dispatch import Bound, book_sending, mark_sent, store_batches
from services.disbursement.handlers.locks import lock_submission
from services.disbursement.handlers.statements import take_statement
from services.disbursement.ledger import Book
from services.disbursement.queries import query

OVERLAP = timedelta(days=1)
"""The bank's clock and ours may differ; what is known twice is known."""

_SUBSIDIES: dict[str, Subsidy] = {name: subsidy for subsidy, name in SUBSIDY_NAMES.items()}
_MONTH = re.compile(r"^(\d{4})年(\d{1,2})月$")


async def note_identity(tx: Transaction) -> bool:
    """Locks submission if this is not the server, or not its timeline, that the books were kept on. True: these books
    are new, there is nothing that they could have lost."""
    now = (
        await tx.connection.execute(
            text(
                "SELECT system_identifier::text AS system, timeline_id AS timeline"
                " FROM pg_control_system(), pg_control_checkpoint()"
            )
        )
    ).one()
    known = (await tx.connection.execute(text("SELECT system, timeline FROM database_identity"))).one_or_none()
    if known is not None and tuple(known) != tuple(now):
        await lock_submission(tx, because="the database runs on another server or timeline than before", by="start")
    await tx.connection.execute(
        text(
            "INSERT INTO database_identity (system, timeline) VALUES (:system, :timeline)"
            " ON CONFLICT (only_row) DO UPDATE SET system = excluded.system, timeline = excluded.timeline"
        ),
        {"system": now.system, "timeline": now.timeline},
    )
    return known is None


async def write_back(database: Database, settings: Settings, bank: Bank, *, on: date) -> bool:
    """Compares the bank's books since our last batch with ours and writes back what ours lost. True when they agree:
    the lock, if there was one, is released. Raises `OutcomeUnknown` if the bank does not answer."""
    async with database.transaction() as tx:
        if await note_identity(tx):
            return True
        since = await _last_known(tx)
    # The bank is asked first: ours are written before it hears of a payment, so whatever it knows now ours must know.
    accepted = await bank.accepted_since(since)
    async with database.transaction() as tx:
        await tx.lock("restore")  # another process may be at it as well
        lost = await _lost(tx, accepted)
        if lost:
            await lock_submission(tx, because=f"the bank knows {len(lost)} payments that the books do not", by="start")
        unknown = await _adopt(tx, settings, lost, on=on)
        if not unknown:
            await _release(tx, written_back=len(lost))
    return not unknown


async def _last_known(tx: Transaction) -> datetime | None:
    last: datetime | None = (
        await tx.connection.execute(text("SELECT max(prepared_at) FROM batches"))
    ).scalar_one_or_none()
    return last - OVERLAP if last else None


async def _lost(tx: Transaction, accepted: Sequence[AcceptedTransfer]) -> list[AcceptedTransfer]:
    """What ours have not, or not as sent. What a person has answered for is not lost any more."""
    found = (
        await tx.connection.execute(
            text(
                "SELECT id FROM unnest(CAST(:ids AS uuid[])) AS id WHERE NOT EXISTS (SELECT FROM payments p"
                " WHERE p.payment_id = id AND p.status <> 'pending') AND NOT EXISTS (SELECT FROM cases k"
                " WHERE k.kind = 'paid_before_restore' AND k.subject = id::text AND k.resolved_at IS NOT NULL)"
            ),
            {"ids": [line.payment_id for line in accepted]},
        )
    ).scalars()
    gone = set(found)
    return [line for line in accepted if line.payment_id in gone]


async def _adopt(tx: Transaction, settings: Settings, lost: Sequence[AcceptedTransfer], *, on: date) -> int:
    """Writes payments back as sent, in the bank's own batches, with the results it has; how many are nobody's."""
    if not lost:
        return 0
    owners = await _owners(tx, lost)
    unknown = [line for line in lost if line.payment_id not in owners]
    for line in unknown:
        await open_case(
            tx, "paid_before_restore", str(line.payment_id), area="", bank_fen=line.amount_fen, bank=line.status
        )
    await tx.lock(*{owner["person_id"] for owner in owners.values()})
    by_batch: dict[UUID, list[AcceptedTransfer]] = defaultdict(list)
    for line in lost:
        if line.payment_id in owners:
            by_batch[line.batch_id].append(line)
    for batch_id, lines in sorted(by_batch.items()):
        for cycle_id, members in (await _cycles_for(tx, batch_id, lines, owners, on=on)).items():
            bound = [Bound(line.payment_id, owners[line.payment_id]["period"], batch_id) for line in members]
            sent = await mark_sent(tx, cycle_id, bound, by_us=False)
            await store_batches(tx, settings, cycle_id, sent, {})
            await book_sending(tx, sent, on=on)
        await take_statement(tx, Statement(batch_id=batch_id, items=tuple(lines)), on=on)
    return len(unknown)


async def _owners(tx: Transaction, lost: Sequence[AcceptedTransfer]) -> dict[UUID, dict[str, Any]]:
    """Whose payment each is. An id is made of person, subsidy, month and attempt: those of the months that the bank
    names are made again for everybody and compared."""
    months = {(_SUBSIDIES[line.project], _month_of(line)) for line in lost if line.project in _SUBSIDIES}
    found = await tx.connection.execute(
        query("owners"),
        {
            "ids": [line.payment_id for line in lost],
            "subsidies": [subsidy for subsidy, _ in sorted(months, key=str)],
            "periods": [period.first_day for _, period in sorted(months, key=str)],
        },
    )
    return {row["payment_id"]: row for row in rows(found)}


async def _cycles_for(
    tx: Transaction,
    batch_id: UUID,
    lines: Sequence[AcceptedTransfer],
    owners: dict[UUID, dict[str, Any]],
    *,
    on: date,
) -> dict[UUID, list[AcceptedTransfer]]:
    """The cycle of the bank's batch: the one that is submitted and still holds all of it as pending, else a new one
    whose signatures say where it comes from."""
    ids = [line.payment_id for line in lines]
    holding = {
        row.payment_id: row.cycle_id
        for row in await tx.connection.execute(
            text(
                "SELECT payment_id, cycle_id FROM payments JOIN cycles USING (cycle_id)"
                " WHERE payment_id = ANY(CAST(:ids AS uuid[])) AND cycles.submitted_at IS NOT NULL"
            ),
            {"ids": ids},
        )
    }
    amounts = {owners[line.payment_id]["amount_fen"] == line.amount_fen for line in lines}
    if len(set(holding.values())) == 1 and len(holding) == len(lines) and amounts == {True}:
        return {next(iter(holding.values())): list(lines)}
    await _give_up_pending(tx, ids, on=on)
    return {await _rebuilt_cycle(tx, batch_id, lines, owners, on=on): list(lines)}


async def _give_up_pending(tx: Transaction, ids: Sequence[UUID], *, on: date) -> None:
    """What was drawn up again of months that the bank has paid leaves its cycle; what was committed is free again."""
    gone = rows(
        await tx.connection.execute(
            text(
                "WITH gone AS (DELETE FROM payments p USING cycles c WHERE p.payment_id = ANY(CAST(:ids AS uuid[]))"
                " AND p.status = 'pending' AND c.cycle_id = p.cycle_id RETURNING p.*, c.submitted_at),"
                " noted AS (INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome,"
                " reason) SELECT cycle_id, person_id, subsidy, period, amount_fen, 'dropped', 'paid_before_restore'"
                " FROM gone) SELECT payment_id, book_area, subsidy, book_year, amount_fen FROM gone"
                " WHERE submitted_at IS NOT NULL"
            ),
            {"ids": list(ids)},
        )
    )
    await book(
        tx,
        [
            ledger.release(
                Book(row["book_area"], row["subsidy"], row["book_year"]),
                f"restore/{row['payment_id']}",
                row["amount_fen"],
                on=on,
            )
            for row in gone
        ],
    )


async def _rebuilt_cycle(
    tx: Transaction,
    batch_id: UUID,
    lines: Sequence[AcceptedTransfer],
    owners: dict[UUID, dict[str, Any]],
    *,
    on: date,
) -> UUID:
    period = lines[0].period
    told = [
        {
            **{name: owners[line.payment_id][name] for name in ("person_id", "subsidy", "attempt", "area", "level")},
            "payment_id": str(line.payment_id),
            "period": owners[line.payment_id]["period"].isoformat(),
            "amount_fen": line.amount_fen,
        }
        for line in lines
    ]
    await tx.connection.execute(
        text("SELECT ensure_payment_partitions(:first, :last)"),
        {"first": min(_month_of(line) for line in lines).first_day, "last": period.first_day},
    )
    cycle_id: UUID = (
        await tx.connection.execute(
            text(
                "INSERT INTO cycles (area, period, subsidy, status, created_by, concurred_by, approved_by,"
                " submitted_at) VALUES (:area, :period, :subsidy, 'submitted', 'restore', 'bank statement',"
                " 'bank statement', :now) RETURNING cycle_id"
            ),
            {
                "area": _common_area([row["area"] for row in told]),
                "period": period.first_day,
                "subsidy": told[0]["subsidy"],
                "now": tx.now,
            },
        )
    ).scalar_one()
    await tx.connection.execute(
        text(
            "INSERT INTO payments (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level, amount_fen,"
            " entitled_fen, paid_before_fen) SELECT payment_id, period, person_id, subsidy, attempt, :cycle_id, area,"
            " level, amount_fen, amount_fen, 0 FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (payment_id uuid,"
            " period date, person_id text, subsidy text, attempt int, area text, level smallint, amount_fen bigint)"
        ),
        {"cycle_id": cycle_id, "told": json.dumps(told)},
    )
    await tx.connection.execute(query("assign_books"), {"cycle_id": cycle_id, "year": period.year})
    needs = await tx.connection.execute(
        text(
            "SELECT book_area, subsidy, book_year, sum(amount_fen)::bigint AS fen FROM payments"
            " WHERE cycle_id = :id GROUP BY book_area, subsidy, book_year"
        ),
        {"id": cycle_id},
    )
    await book(
        tx,
        [
            ledger.commit(Book(row.book_area, row.subsidy, row.book_year), str(cycle_id), row.fen, on=on)
            for row in needs.all()
        ],
    )
    return cycle_id


async def _release(tx: Transaction, *, written_back: int) -> None:
    await tx.connection.execute(
        text(
            "UPDATE restore_locks SET released_at = :now, written_back = written_back + :count"
            " WHERE released_at IS NULL"
        ),
        {"now": tx.now, "count": written_back},
    )


def _month_of(line: AcceptedTransfer) -> Period:
    match = _MONTH.match(line.period_text)
    return Period(int(match[1]), int(match[2])) if match else line.period


def _common_area(areas: Iterable[str]) -> str:
    """The area that covers all of these: counties by six digits, else the prefecture, else the province."""
    known = set(areas)
    return next((code for n in (6, 4, 2) if len({area[:n] for area in known}) == 1 for code in [min(known)[:n]]), "")

"""Recoveries (追回; notice 7.1): claims are planned, repaid to the treasury (缴回), or written off by two persons."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, FourEyes, InvalidInput
from libs.common.money import yuan_text
from services.disbursement import ledger
from services.disbursement.errors import MoreThanOutstanding, OffsetNotAllowed
from services.disbursement.handlers.books import book
from services.disbursement.handlers.heirs import is_known_dead
from services.disbursement.handlers.overpayments import grow_version, load, tell_state
from services.disbursement.ledger import Book, Entry
from services.disbursement.queries import keeping_cases
from services.disbursement.recovery import ClaimedMonth, allocate


async def load_locked(tx: Transaction, principal: Principal, recovery_id: UUID) -> dict[str, Any]:
    case = await load(tx, recovery_id)
    principal.require_sight(case["area"], "recovery")
    await tx.lock(case["person_id"])
    return await load(tx, recovery_id)


async def plan_recovery(
    tx: Transaction,
    principal: Principal,
    recovery_id: UUID,
    plan: dict[str, Any],
    *,
    offset_percent: int = 0,
    offset_basis: str | None = None,
) -> None:
    """Sets how an open case is to be repaid: instalments, consent, remarks; and the share of later payments that is
    set off (0: none). What is drawn up and not sent yet follows. Instalments cover what is outstanding, unless a share
    is set off, too. `OffsetNotAllowed`, `MoreThanOutstanding`, InvalidInput."""
    case = await load_locked(tx, principal, recovery_id)
    if case["status"] == "closed":
        raise Conflict("the case is closed")
    if offset_percent and not offset_basis:
        raise OffsetNotAllowed
    dead = await is_known_dead(tx, case["person_id"])
    if offset_percent and (dead or case["debtor"] == "estate"):
        raise OffsetNotAllowed("the person is dead: the claim is against the estate")
    planned_fen = sum(part["amount_fen"] for part in plan.get("instalments", []))
    if planned_fen > case["outstanding_fen"]:
        raise MoreThanOutstanding(f"{case['outstanding_fen']} fen are outstanding")
    if planned_fen and not offset_percent and planned_fen < case["outstanding_fen"]:
        rest = yuan_text(case["outstanding_fen"] - planned_fen)
        raise InvalidInput.at("instalments", f"分期合计还差{rest}元 (the instalments leave {rest} yuan unplanned)")
    await tx.connection.execute(
        text(
            "UPDATE recoveries SET plan = CAST(:plan AS jsonb), offset_percent = :percent, offset_basis = :basis,"
            " debtor = :debtor WHERE recovery_id = :id"
        ),
        {
            "id": recovery_id,
            # What comes back from now on is by this plan (sql/plans_behind.sql).
            "plan": json.dumps(plan | {"recovered_fen": case["recovered_fen"]}, ensure_ascii=False, default=str),
            "percent": offset_percent,
            "basis": offset_basis if offset_percent else None,
            "debtor": "estate" if dead else "person",
        },
    )
    await tx.connection.execute(
        text(
            "UPDATE payments SET offset_fen = least(offset_fen, amount_fen * :percent / 100)"
            " WHERE offset_recovery_id = :id AND status = 'pending'"
        ),
        {"id": recovery_id, "percent": offset_percent},
    )
    await audit.record(tx, principal, "plan recovery", str(recovery_id), person_id=case["person_id"])


async def alarm_plans_behind(tx: Transaction, as_of: date) -> int:
    """Opens a case for each recovery whose instalments are overdue, or cover no more what is outstanding since more was
    claimed or a repayment was reversed; ends those that are in order again. How many it opened."""
    statement = keeping_cases("plans_behind", "everywhere")
    return int((await tx.connection.execute(statement, {"as_of": as_of, "kinds": ["plan_behind"]})).scalar_one())


async def record_repayment(
    tx: Transaction,
    principal: Principal,
    recovery_id: UUID,
    *,
    amount_fen: int,
    repaid_on: date,
    document_no: str | None,
) -> UUID:
    """Money that came back, and goes to the treasury (缴回). `MoreThanOutstanding`; a document counts once."""
    case = await load_locked(tx, principal, recovery_id)
    repayment_id = new_id()
    known = (
        await tx.connection.execute(
            text("SELECT amount_fen FROM repayments WHERE recovery_id = :id AND document_no = :document_no"),
            {"id": recovery_id, "document_no": document_no},
        )
    ).one_or_none()
    if known is not None:
        raise Conflict(f"{document_no} was recorded with {known.amount_fen} fen")
    await reduce_outstanding(
        tx, case, amount_fen, column="repaid_fen", cause_id=str(repayment_id), entry=ledger.repay, on=repaid_on
    )
    await tx.connection.execute(
        text(
            "INSERT INTO repayments (repayment_id, recovery_id, amount_fen, repaid_on, document_no, recorded_by)"
            " VALUES (:repayment_id, :id, :amount_fen, :repaid_on, :document_no, :sub)"
        ),
        {
            "repayment_id": repayment_id,
            "id": recovery_id,
            "amount_fen": amount_fen,
            "repaid_on": repaid_on,
            "document_no": document_no,
            "sub": principal.sub,
        },
    )
    await grow_version(tx, recovery_id)
    await tell_state(tx, recovery_id, on=repaid_on)
    await audit.record(
        tx, principal, "record repayment", str(recovery_id), person_id=case["person_id"], amount_fen=amount_fen
    )
    return repayment_id


async def propose_write_off(
    tx: Transaction, principal: Principal, recovery_id: UUID, *, amount_fen: int | None, reason: str
) -> UUID:
    """Proposes to give up an amount, or all that is outstanding; a second person approves. `MoreThanOutstanding`."""
    case = await load_locked(tx, principal, recovery_id)
    if case["outstanding_fen"] == 0:
        raise Conflict("nothing is outstanding")
    if amount_fen is not None and amount_fen > case["outstanding_fen"]:
        raise MoreThanOutstanding(f"{case['outstanding_fen']} fen are outstanding")
    write_off_id: UUID | None = (
        await tx.connection.execute(
            text(
                "INSERT INTO write_offs (recovery_id, amount_fen, reason, proposed_by)"
                " VALUES (:id, :amount_fen, :reason, :sub)"
                " ON CONFLICT (recovery_id) WHERE approved_at IS NULL DO NOTHING RETURNING write_off_id"
            ),
            {
                "id": recovery_id,
                "amount_fen": amount_fen or case["outstanding_fen"],
                "reason": reason,
                "sub": principal.sub,
            },
        )
    ).scalar_one_or_none()
    if write_off_id is None:
        raise Conflict("a write-off is proposed already")
    await audit.record(tx, principal, "propose write-off", str(recovery_id), person_id=case["person_id"], reason=reason)
    return write_off_id


async def approve_write_off(tx: Transaction, principal: Principal, recovery_id: UUID, *, on: date) -> None:
    """Writes off what was proposed, by a second person. `FourEyes`, `MoreThanOutstanding`."""
    case = await load_locked(tx, principal, recovery_id)
    proposed = (
        await tx.connection.execute(
            text("SELECT * FROM write_offs WHERE recovery_id = :id AND approved_at IS NULL FOR UPDATE"),
            {"id": recovery_id},
        )
    ).one_or_none()
    if proposed is None:
        raise Conflict("no write-off is proposed")
    if proposed.proposed_by == principal.sub:
        raise FourEyes("该核销由您提出，应由他人批准 (you proposed this write-off)")
    await reduce_outstanding(
        tx,
        case,
        proposed.amount_fen,
        column="written_off_fen",
        cause_id=str(proposed.write_off_id),
        entry=ledger.write_off,
        on=on,
    )
    await tx.connection.execute(
        text("UPDATE write_offs SET approved_by = :sub, approved_at = :now WHERE write_off_id = :id"),
        {"id": proposed.write_off_id, "sub": principal.sub, "now": tx.now},
    )
    await grow_version(tx, recovery_id)
    await tell_state(tx, recovery_id, on=on)
    await audit.record(tx, principal, "approve write-off", str(recovery_id), person_id=case["person_id"])


async def refuse_write_off(tx: Transaction, principal: Principal, recovery_id: UUID, *, reason: str) -> None:
    """What was proposed is not written off; another amount may be proposed. Conflict."""
    case = await load_locked(tx, principal, recovery_id)
    refused = await tx.connection.execute(
        text(
            "DELETE FROM write_offs WHERE recovery_id = :id AND approved_at IS NULL RETURNING amount_fen, proposed_by"
        ),
        {"id": recovery_id},
    )
    proposed = refused.mappings().one_or_none()
    if proposed is None:
        raise Conflict("no write-off is proposed")
    await audit.record(
        tx, principal, "refuse write-off", str(recovery_id), person_id=case["person_id"], reason=reason, **proposed
    )


async def reduce_outstanding(
    tx: Transaction,
    case: dict[str, Any],
    amount_fen: int,
    *,
    column: Literal["repaid_fen", "written_off_fen"],
    cause_id: str,
    entry: Callable[..., Entry],
    on: date,
) -> None:
    """Spreads an amount over the outstanding months, oldest first, and books it against the budgets they came from."""
    months = [
        ClaimedMonth(month["period"], month["amount_fen"], month["repaid_fen"], month["written_off_fen"])
        for month in case["months"]
    ]
    try:
        shares = allocate(months, amount_fen)
    except ValueError as error:
        raise MoreThanOutstanding(f"{case['outstanding_fen']} fen are outstanding") from error
    by_book: dict[Book, int] = {}
    for period, share_fen in shares.items():
        row = (
            await tx.connection.execute(
                text(
                    f"UPDATE recovery_months SET {column} = {column} + :share_fen"  # noqa: S608 (one of two columns)
                    " WHERE recovery_id = :id AND period = :period RETURNING book_area, book_year"
                ),
                {"share_fen": share_fen, "id": case["recovery_id"], "period": period.first_day},
            )
        ).one()
        budget = Book(row.book_area, case["subsidy"], row.book_year)
        by_book[budget] = by_book.get(budget, 0) + share_fen
    await book(
        tx, [entry(budget, cause_id, fen, person_id=case["person_id"], on=on) for budget, fen in by_book.items()]
    )

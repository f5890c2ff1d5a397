"""Recoveries opened by tip-off or by hand (notice 7.1): a decision says what was not due of months that were paid."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from libs.common import audit
from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import Conflict, NotFound
from libs.common.period import Period
from libs.common.vocabulary import Subsidy
from services.disbursement.errors import NothingPaid
from services.disbursement.handlers.overpayments import load, review_overpayments
from services.disbursement.handlers.paid_up import forget_paid_up

Cause = Literal["fraud", "late_report", "error"]
Source = Literal["tip_off", "check", "comparison", "self_report", "other"]


async def open_recovery(
    tx: Transaction,
    principal: Principal,
    person_id: str,
    subsidy: Subsidy,
    months: Mapping[Period, int | None],
    *,
    cause: Cause,
    source: Source,
    reason: str,
    on: date,
) -> UUID:
    """Claims these months back, in full (None) or by an amount in fen; the recovery that claims them.

    The month counts as not entitled by so much, or at all, however its standard is raised later: repaid, it is not owed
    again; and once facts end the entitlement by themselves, nothing is claimed twice. NotFound, `NothingPaid`, Conflict
    for months decided already.
    """
    await tx.lock(person_id)
    paid = {
        Period.of(row.period): row
        for row in await tx.connection.execute(
            text(
                "SELECT period, sum(amount_fen)::bigint AS fen, min(area) AS area FROM ("
                " SELECT period, amount_fen, area FROM payments"
                " WHERE person_id = :person_id AND subsidy = :subsidy AND status = 'settled'"
                " UNION ALL SELECT period, amount_fen, area FROM opening_months"
                " WHERE person_id = :person_id AND subsidy = :subsidy) AS paid GROUP BY period"
            ),
            {"person_id": person_id, "subsidy": subsidy},
        )
    }
    if not any(principal.covers(row.area) for row in paid.values()):
        raise NotFound("nothing was paid to such a person in your area")
    for period, amount_fen in sorted(months.items()):
        if period not in paid or (amount_fen or 0) > paid[period].fen or not principal.covers(paid[period].area):
            raise NothingPaid(f"{period}: {paid[period].fen if period in paid else 0} fen were paid")
        await _disallow(tx, principal, person_id, subsidy, period, amount_fen, paid[period].fen, cause, source, reason)
    await review_overpayments(tx, [(person_id, subsidy)], on=on, cause=cause)
    recovery_id: UUID | None = (
        await tx.connection.execute(
            text(
                "SELECT recovery_id FROM recoveries WHERE person_id = :person_id AND subsidy = :subsidy"
                " AND status = 'open' ORDER BY (cause = :cause) DESC, recovery_id DESC LIMIT 1"
            ),
            {"person_id": person_id, "subsidy": subsidy, "cause": cause},
        )
    ).scalar_one_or_none()
    if recovery_id is None:
        raise Conflict("these months were claimed and settled before")
    await audit.record(
        tx, principal, "open recovery", str(recovery_id), person_id=person_id, reason=reason, cause=cause, source=source
    )
    return recovery_id


async def _disallow(
    tx: Transaction,
    principal: Principal,
    person_id: str,
    subsidy: Subsidy,
    period: Period,
    amount_fen: int | None,
    paid_fen: int,
    cause: Cause,
    source: Source,
    reason: str,
) -> None:
    new = await tx.connection.execute(
        text(
            "INSERT INTO disallowances (person_id, subsidy, period, amount_fen, whole, cause, source, reason,"
            " decided_by) VALUES (:person_id, :subsidy, :period, :amount_fen, :whole, :cause, :source, :reason, :sub)"
            " ON CONFLICT DO NOTHING RETURNING true"
        ),
        {
            "person_id": person_id,
            "subsidy": subsidy,
            "period": period.first_day,
            "amount_fen": amount_fen or paid_fen,
            "whole": amount_fen is None,
            "cause": cause,
            "source": source,
            "reason": reason,
            "sub": principal.sub,
        },
    )
    if new.scalar_one_or_none() is None:
        raise Conflict(f"{period} was decided already")


async def withdraw_decision(tx: Transaction, principal: Principal, recovery_id: UUID, *, reason: str, on: date) -> None:
    """The decision does not stand: what it disallowed is due again, and what was repaid of it is owed to the person."""
    case = await load(tx, recovery_id)
    principal.require_sight(case["area"], "recovery")
    await tx.lock(case["person_id"])
    gone = await tx.connection.execute(
        text(
            "DELETE FROM disallowances d USING recovery_months m WHERE d.person_id = :person_id"
            " AND d.subsidy = :subsidy AND d.cause = :cause AND m.recovery_id = :id AND m.period = d.period"
            " RETURNING d.period"
        ),
        {"person_id": case["person_id"], "subsidy": case["subsidy"], "cause": case["cause"], "id": recovery_id},
    )
    again_due = [(case["person_id"], case["subsidy"], row.period) for row in gone]
    if not again_due:
        raise Conflict("this recovery rests on facts, not on a decision")
    await forget_paid_up(tx, again_due)
    await review_overpayments(tx, [(case["person_id"], case["subsidy"])], on=on, withdrawn=recovery_id)
    await audit.record(tx, principal, "withdraw recovery", str(recovery_id), person_id=case["person_id"], reason=reason)

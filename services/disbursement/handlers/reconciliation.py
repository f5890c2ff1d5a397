"""Reconciliation (对账; notice 4.1): what was drawn up, what the ledger says, the bank's statement, its SMS. Each
difference is a case. A settled cycle closes by itself once there is none that is not resolved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, text

from libs.common.database import Transaction, rows
from libs.common.events.disbursement import CycleClosed
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES
from services.disbursement.handlers.cycles import load_cycle
from services.disbursement.handlers.paid_up import note_paid_up
from services.disbursement.queries import EVER, keeping_cases
from services.disbursement.tables import cases

_OF_CYCLES = (
    "not_on_statement",
    "amount_differs",
    "status_differs",
    "sms_missing",
    "sms_incomplete",
    "not_in_ledger",
    "not_ours",
)
_OF_AREAS = ("due_unpaid", "account_shared")
_OF_ROSTERS = (
    "not_on_national_roster",
    "only_on_national_roster",
    "national_area_differs",
    "not_on_paper_roster",
    "only_on_paper_roster",
    "paper_area_differs",
)

SMS_GRACE = timedelta(seconds=60)
"""How long after settling a missing SMS may still be on its way."""


async def note_settled_cycles(tx: Transaction) -> int:
    """Submitted cycles of which every item has its result become settled, and whoever is paid up by them is noted; how
    many."""
    settled = (
        await tx.connection.execute(
            text(
                "UPDATE cycles c SET status = 'settled', settled_at = :now WHERE status = 'submitted' AND NOT EXISTS"
                " (SELECT FROM payments p WHERE p.cycle_id = c.cycle_id AND p.status IN ('pending', 'sent'))"
                " RETURNING area, period, subsidy"
            ),
            {"now": tx.now},
        )
    ).all()
    for cycle in settled:
        subsidies = (cycle.subsidy,) if cycle.subsidy else SUBSIDIES
        await note_paid_up(tx, cycle.area, subsidies, Period.of(cycle.period))
    return len(settled)


async def cycles_to_close(tx: Transaction) -> list[UUID]:
    """Settled cycles that have not been looked at, or whose cases were resolved or may have become void since."""
    found = await tx.connection.execute(
        text(
            "SELECT cycle_id FROM cycles c WHERE status = 'settled' AND (reconciled_at IS NULL"
            " OR reconciled_at < CAST(:now AS timestamptz)"
            " - CASE WHEN settled_at > CAST(:now AS timestamptz) - interval '2 minutes' THEN interval '10 seconds'"
            " ELSE interval '10 minutes' END OR EXISTS (SELECT FROM cases k"
            " WHERE k.cycle_id = c.cycle_id AND k.resolved_at > c.reconciled_at)) ORDER BY settled_at LIMIT 20"
        ),
        {"now": tx.now},
    )
    return list(found.scalars())


async def batches_of(tx: Transaction, cycle_ids: Sequence[UUID]) -> list[UUID]:
    """The batches of these cycles whose statement the bank gives over REST."""
    found = await tx.connection.execute(
        text(
            "SELECT batch_id FROM batches JOIN cycles USING (cycle_id) WHERE cycle_id = ANY(CAST(:ids AS uuid[]))"
            " AND state IN ('accepted', 'done') AND channel = 'rest' ORDER BY batch_id"
        ),
        {"ids": list(cycle_ids)},
    )
    return list(found.scalars())


async def cycles_in(tx: Transaction, area: str, period: Period) -> list[UUID]:
    """The cycles of a period in an area that were submitted."""
    found = await tx.connection.execute(
        text(
            "SELECT cycle_id FROM cycles WHERE area LIKE :area || '%' AND period = :period"
            " AND submitted_at IS NOT NULL ORDER BY cycle_id"
        ),
        {"area": area, "period": period.first_day},
    )
    return list(found.scalars())


async def close_if_clean(tx: Transaction, cycle_id: UUID) -> bool:
    """Closes a settled cycle without unresolved differences; else its differences are cases. True when it closed."""
    cycle = await load_cycle(tx, cycle_id, lock=True)
    if cycle["status"] != "settled":
        return False
    await _compare(tx, [cycle_id], sms_is_due=tx.now - cycle["settled_at"] >= SMS_GRACE)
    await tx.connection.execute(
        text("UPDATE cycles SET reconciled_at = :now WHERE cycle_id = :id"), {"id": cycle_id, "now": tx.now}
    )
    if await _unresolved(tx, cycle_id) or await _sms_awaited(tx, cycle):
        return False
    await _close(tx, cycle)
    return True


async def reconcile(tx: Transaction, area: str, period: Period) -> list[dict[str, Any]]:
    """The unresolved cases of the cycles of that period in that area, of its entitled months and of the rosters that
    others keep, after comparing all of them."""
    cycle_ids = await cycles_in(tx, area, period)
    await _compare(tx, cycle_ids, sms_is_due=True)
    scope = {"area": area, "since": EVER, "upto": period.first_day, "period": period.first_day}
    await tx.connection.execute(keeping_cases("unpaid", "area"), scope | {"kinds": list(_OF_AREAS)})
    await tx.connection.execute(keeping_cases("rosters", "area"), scope | {"kinds": list(_OF_ROSTERS)})
    found = await tx.connection.execute(
        select(cases)
        .where(
            cases.c.resolved_at.is_(None),
            or_(
                cases.c.cycle_id.in_(cycle_ids),
                cases.c.kind.in_(_OF_AREAS + _OF_ROSTERS)
                & cases.c.area.startswith(area, autoescape=True)
                & (cases.c.period.is_(None) | (cases.c.period <= period)),
            ),
        )
        .order_by(cases.c.kind, cases.c.case_id)
    )
    return list(rows(found))


async def _compare(tx: Transaction, cycle_ids: Sequence[UUID], *, sms_is_due: bool) -> None:
    """Opens a case for each difference, and resolves those that are none any more."""
    scope = {"cycle_ids": list(cycle_ids), "sms_is_due": sms_is_due, "kinds": list(_OF_CYCLES)}
    await tx.connection.execute(keeping_cases("differences", "cycles"), scope)


async def _sms_awaited(tx: Transaction, cycle: dict[str, Any]) -> bool:
    """An SMS that is missing may still be on its way, or is a case that was resolved."""
    if tx.now - cycle["settled_at"] >= SMS_GRACE:
        return False
    awaited: bool = (
        await tx.connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM payments p LEFT JOIN sms_receipts s USING (payment_id)"
                " WHERE CAST(:channel AS text) = 'rest' AND p.cycle_id = :id AND p.status IN ('settled', 'returned')"
                " AND s.payment_id IS NULL)"
            ),
            {"id": cycle["cycle_id"], "channel": cycle["channel"]},
        )
    ).scalar_one()
    return awaited


async def _unresolved(tx: Transaction, cycle_id: UUID) -> int:
    count: int = (
        await tx.connection.execute(
            text("SELECT count(*) FROM cases WHERE cycle_id = :id AND resolved_at IS NULL"), {"id": cycle_id}
        )
    ).scalar_one()
    return count


async def _close(tx: Transaction, cycle: dict[str, Any]) -> None:
    cycle_id = cycle["cycle_id"]
    await tx.connection.execute(
        text("UPDATE cycles SET status = 'closed', closed_at = :now WHERE cycle_id = :id"),
        {"id": cycle_id, "now": tx.now},
    )
    paid = (
        await tx.connection.execute(
            text(
                "SELECT count(*) AS payments, coalesce(sum(amount_fen), 0)::bigint AS amount_fen FROM payments"
                " WHERE cycle_id = :id AND status = 'settled'"
            ),
            {"id": cycle_id},
        )
    ).one()
    tx.publish(
        CycleClosed(
            version=1,
            cycle_id=cycle_id,
            area=cycle["area"],
            period=cycle["period"],
            subsidy=cycle["subsidy"],
            status="closed",
            payments=paid.payments,
            amount_fen=paid.amount_fen,
        )
    )

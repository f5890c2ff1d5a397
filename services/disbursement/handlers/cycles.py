"""The monthly cycle (notice 4.2, 6.1): drawn up by civil affairs, concurred by the federation, approved and submitted
by finance. What is due is entitled less paid and on the way, for every month up to the cycle's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import TextClause, text

from libs.common import audit
from libs.common.areas import lineage
from libs.common.auth import Principal
from libs.common.database import Transaction, rows
from libs.common.errors import FourEyes, NotFound
from libs.common.period import Period, business_date
from libs.common.settings import Settings
from libs.common.vocabulary import SUBSIDIES, CycleStatus, Subsidy
from services.disbursement.errors import PolicyUnderReevaluation, RosterUnderTakeover, WrongState
from services.disbursement.handlers.books import require_funds
from services.disbursement.handlers.lifting import absorb_finished, lift_answered_holds
from services.disbursement.handlers.locks import require_unlocked
from services.disbursement.handlers.paid_up import behind_since
from services.disbursement.queries import query

Channel = Literal["rest", "file"]

_PLANNING = {"work_mem": "128MB", "parallel_tuple_cost": "0"}
"""For the joins over everybody in an area while its cycle is drawn up: by several processors, though they hand whatever
they find to the one that writes."""

_BEHIND = (
    "AND (person_id, subsidy) IN (SELECT person_id, subsidy FROM entitlements WHERE paid_up_to < CAST(:upto AS date))"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a cycle is to pay: an area, every month up to `period`, one subsidy or (None) both, over which channel; and
    why whoever is held by an overdue finding is held on."""

    area: str
    period: Period
    subsidy: Subsidy | None = None
    channel: Channel = "rest"
    overdue_reason: str | None = None

    @property
    def subsidies(self) -> tuple[Subsidy, ...]:
        return (self.subsidy,) if self.subsidy else SUBSIDIES


async def draw_up_cycle(tx: Transaction, principal: Principal, settings: Settings, order: Order) -> UUID:
    """Draws up the draft of this area, period and subsidy, anew if it exists; its id.

    Months of earlier periods that are due are in it. A further cycle for the same period holds what became due since.
    Raises `PolicyUnderReevaluation`, `RosterUnderTakeover`.
    """
    for subsidy in order.subsidies:
        await _lock_area(tx, order.area, subsidy)
    await lift_answered_holds(tx, settings)
    await absorb_finished(tx, settings)
    await _require_nothing_under_way(tx, order.area)
    async with _planned_for_everybody(tx):
        since = await behind_since(tx, order.area, order.subsidies, order.period.previous)
        is_new = await _begin_months(tx, order, since or order.period)
        cycle_id = await _draft_for(tx, principal, order)
        await _fill(tx, order, cycle_id, behind_since=since, is_new=is_new)
    await _keep_overdue(tx, principal, cycle_id, order.overdue_reason)
    await audit.record(tx, principal, "draw up cycle", str(cycle_id), area=order.area, period=str(order.period))
    return cycle_id


@asynccontextmanager
async def _planned_for_everybody(tx: Transaction) -> AsyncIterator[None]:
    for setting, value in _PLANNING.items():
        await tx.connection.execute(text(f"SET LOCAL {setting} = '{value}'"))
    yield
    for setting in _PLANNING:
        await tx.connection.execute(text(f"SET LOCAL {setting} TO DEFAULT"))


async def _begin_months(tx: Transaction, order: Order, since: Period) -> bool:
    """Makes the partitions of the months before the draft's own: whether that has none yet, and it is ours to make.
    Before the draft is written: what attaches them locks `cycles` against writers."""
    months = {"since": since.first_day, "month": order.period.first_day}
    await tx.connection.execute(
        text("SELECT ensure_payment_partitions(CAST(:since AS date), CAST(:month AS date) - 1)"), months
    )
    is_new: bool = (
        await tx.connection.execute(text("SELECT begin_payment_partition(CAST(:month AS date))"), months)
    ).scalar_one()
    return is_new


async def _fill(tx: Transaction, order: Order, cycle_id: UUID, *, behind_since: Period | None, is_new: bool) -> None:
    """Draws payments and exceptions up, arrears first. A new month is drawn up into what becomes its partition."""
    month = order.period.first_day
    if behind_since is not None:
        await _draw(tx, order, cycle_id, "drawn", since=behind_since.first_day, upto=order.period.previous.first_day)
        await _enter(tx)
    await _draw(tx, order, cycle_id, f"payments_{month:%Y_%m}" if is_new else "drawn", since=month, upto=month)
    if is_new:
        await tx.connection.execute(text("SELECT attach_payment_partition(CAST(:month AS date))"), {"month": month})
    else:
        await _enter(tx)


async def _draw(tx: Transaction, order: Order, cycle_id: UUID, table: str, *, since: date, upto: date) -> None:
    """Draws months up into a table of their own, and notes the exceptions."""
    await tx.connection.execute(
        drawing(table, own_month=since == order.period.first_day),
        {
            "area": order.area,
            "subsidies": list(order.subsidies),
            "cycle_id": cycle_id,
            "since": since,
            "upto": upto,
        },
    )
    await tx.connection.execute(query("except_drawn", drawn=table))
    await tx.connection.execute(query("set_off_drawn", drawn=table))


def drawing(table: str, *, own_month: bool) -> TextClause:
    """The statement that draws a cycle's own month up, or those before it. A table called `drawn` is temporary."""
    return query(
        "draw_up",
        table=f"TEMPORARY TABLE {table}" if table == "drawn" else f"TABLE {table}",
        behind="" if own_month else _BEHIND,
        entitled_and_recorded="/* entitled */" if own_month else "/* months */",
    )


async def _enter(tx: Transaction) -> None:
    await tx.connection.execute(query("enter_drawn"))
    await tx.connection.execute(text("DROP TABLE drawn"))


async def _keep_overdue(tx: Transaction, principal: Principal, cycle_id: UUID, reason: str | None) -> None:
    """Whoever draws up a cycle over overdue findings decides to hold on (ADR 0022): each is recorded in their name."""
    kept = await tx.connection.execute(_OVERDUE, {"id": cycle_id, "today": business_date(tx.now)})
    for finding_id, person_id in sorted({(row.finding_id, row.person_id) for row in kept}):
        await audit.record(
            tx, principal, "keep overdue hold", str(finding_id), person_id=person_id, reason=reason or _NO_REASON,
            cycle_id=cycle_id,
        )  # fmt: skip


_NO_REASON = "编制批次时未另行决定，继续暂缓"

_OVERDUE = text(
    "UPDATE cycle_exceptions e SET overdue = true FROM findings f WHERE e.cycle_id = :id AND e.outcome = 'held'"
    " AND f.finding_id = e.finding_id AND f.status = 'open' AND f.due_on < :today RETURNING e.finding_id, e.person_id"
)


async def _lock_area(tx: Transaction, area: str, subsidy: Subsidy) -> None:
    """Nobody else draws up this area, one that covers it, or one that it covers."""
    *above, own = lineage(area)
    for code in above:
        await tx.connection.execute(
            text("SELECT pg_advisory_xact_lock_shared(7402, hashtext(:key))"), {"key": f"{code}/{subsidy}"}
        )
    await tx.connection.execute(text("SELECT pg_advisory_xact_lock(7402, hashtext(:key))"), {"key": f"{own}/{subsidy}"})


async def _require_nothing_under_way(tx: Transaction, area: str) -> None:
    """Neither a policy nor a roster of this area, one that covers it, or one that it covers."""
    for table, key, refusal in (
        ("reevaluations", "policy_id", PolicyUnderReevaluation),
        ("takeovers", "import_id", RosterUnderTakeover),
    ):
        found = await tx.connection.execute(
            text(
                f"SELECT {key} FROM {table} WHERE absorbed_at IS NULL"  # noqa: S608 (literals)
                " AND (starts_with(area, :area) OR starts_with(:area, area)) LIMIT 1"
            ),
            {"area": area},
        )
        waiting = found.scalar_one_or_none()
        if waiting is not None:
            raise refusal(f"{key} {waiting}")


async def _draft_for(tx: Transaction, principal: Principal, order: Order) -> UUID:
    """The emptied draft of this area, period and subsidy, or a new one."""
    wanted = {
        "area": order.area,
        "period": order.period.first_day,
        "subsidy": order.subsidy,
        "channel": order.channel,
        "sub": principal.sub,
        "now": tx.now,
    }
    cycle_id: UUID | None = (
        await tx.connection.execute(
            text(
                "UPDATE cycles SET created_by = :sub, created_at = :now, channel = :channel"
                " WHERE status = 'draft' AND area = :area AND period = :period"
                " AND subsidy IS NOT DISTINCT FROM CAST(:subsidy AS text) RETURNING cycle_id"
            ),
            wanted,
        )
    ).scalar_one_or_none()
    if cycle_id is not None:
        await _empty(tx, cycle_id)
        return cycle_id
    new: UUID = (
        await tx.connection.execute(
            text(
                "INSERT INTO cycles (area, period, subsidy, channel, created_by, created_at)"
                " VALUES (:area, :period, :subsidy, :channel, :sub, :now) RETURNING cycle_id"
            ),
            wanted,
        )
    ).scalar_one()
    return new


async def _empty(tx: Transaction, cycle_id: UUID) -> None:
    await tx.connection.execute(
        text("DELETE FROM payments WHERE cycle_id = :id AND status = 'pending'"), {"id": cycle_id}
    )
    await tx.connection.execute(text("DELETE FROM cycle_exceptions WHERE cycle_id = :id"), {"id": cycle_id})


async def withdraw_cycle(tx: Transaction, principal: Principal, cycle_id: UUID) -> None:
    """Gives up a cycle; what it held is due again. `WrongState` once its submission was asked for."""
    cycle = await _at_step(tx, principal, cycle_id, "draft", "concurred", "approved")
    if cycle["requested_at"] is not None:
        raise WrongState("its submission was asked for")
    await _empty(tx, cycle_id)
    await tx.connection.execute(
        text(
            "INSERT INTO withdrawn_drafts SELECT cycle_id, area, period, subsidy, :now FROM cycles WHERE cycle_id = :id"
        ),
        {"id": cycle_id, "now": tx.now},
    )
    await tx.connection.execute(text("DELETE FROM cycles WHERE cycle_id = :id"), {"id": cycle_id})
    await audit.record(tx, principal, "withdraw cycle", str(cycle_id))


async def concur_with_cycle(tx: Transaction, principal: Principal, cycle_id: UUID) -> None:
    """The federation concurs (会签). `FourEyes`."""
    cycle = await _at_step(tx, principal, cycle_id, "draft")
    if cycle["created_by"] == principal.sub:
        raise FourEyes("本批次由您编制，应由他人会签 (you drew this cycle up)")
    await _advance(tx, principal, cycle_id, "concurred")


async def approve_cycle(tx: Transaction, principal: Principal, cycle_id: UUID) -> None:
    """Finance approves what the funds cover. `FourEyes`, `FundsShort`."""
    cycle = await _at_step(tx, principal, cycle_id, "concurred")
    if principal.sub in (cycle["created_by"], cycle["concurred_by"]):
        raise FourEyes("本批次由您编制或会签，应由他人批准 (you drew this cycle up or concurred with it)")
    await require_funds(tx, cycle_id, budget_year=cycle["period"].year)
    await _advance(tx, principal, cycle_id, "approved")


async def request_submission(tx: Transaction, principal: Principal, cycle_id: UUID) -> None:
    """Asks for the cycle to be submitted as soon as everything known by now has arrived. `FundsShort` at once."""
    cycle = await _at_step(tx, principal, cycle_id, "approved")
    if cycle["requested_at"] is not None:
        return
    await require_unlocked(tx)
    await require_funds(tx, cycle_id, budget_year=cycle["period"].year)
    await tx.connection.execute(
        text(
            "UPDATE cycles SET requested_by = :sub, requested_at = clock_timestamp(), refused_because = NULL"
            " WHERE cycle_id = :id"
        ),
        {"id": cycle_id, "sub": principal.sub},
    )
    await audit.record(tx, principal, "submit cycle", str(cycle_id))


async def load_cycle(tx: Transaction, cycle_id: UUID, *, lock: bool = False) -> dict[str, Any]:
    """The cycle's row. NotFound."""
    found = rows(
        await tx.connection.execute(
            text(f"SELECT * FROM cycles WHERE cycle_id = :id{' FOR UPDATE' if lock else ''}"),  # noqa: S608 (constants)
            {"id": cycle_id},
        )
    )
    if not found:
        raise NotFound("no such cycle")
    return found[0] | {"period": Period.of(found[0]["period"])}


async def _at_step(tx: Transaction, principal: Principal, cycle_id: UUID, *steps: CycleStatus) -> dict[str, Any]:
    cycle = await load_cycle(tx, cycle_id, lock=True)
    principal.require_sight(cycle["area"], "cycle")
    if cycle["status"] not in steps:
        raise WrongState(f"the cycle is {cycle['status']}, not {' or '.join(steps)}")
    return cycle


async def _advance(
    tx: Transaction, principal: Principal, cycle_id: UUID, status: Literal["concurred", "approved"]
) -> None:
    await tx.connection.execute(
        text(
            f"UPDATE cycles SET status = :status, {status}_by = :sub, {status}_at = :now"  # noqa: S608 (a literal)
            " WHERE cycle_id = :id"
        ),
        {"id": cycle_id, "status": status, "sub": principal.sub, "now": tx.now},
    )
    await audit.record(tx, principal, f"{status} cycle", str(cycle_id))

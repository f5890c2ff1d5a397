"""What is new for a person in a schedule: stopped, resumed, or another amount. Pure.

People are told what next month brings, for that is what a change this month can still alter (次月停发): a certificate
that will expire in three years is no news, and a stop that is known ahead becomes news when its month has come. What a
person was told is kept, so that the same news is never told twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from libs.common.period import Period


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive payable months of one amount; `last` is None while it is open."""

    first: Period
    last: Period | None
    amount_fen: int

    def holds(self, month: Period) -> bool:
        return self.first <= month and (self.last is None or month <= self.last)


@dataclass(frozen=True, slots=True)
class Told:
    """`amount_fen` a month since `since`; None: nothing since then."""

    amount_fen: int | None
    since: Period


@dataclass(frozen=True, slots=True)
class News:
    """`amount_fen` a month from `first_month` on; of a stop, what is no longer paid from then on."""

    kind: Literal["entitlement_stopped", "entitlement_resumed", "entitlement_changed"]
    first_month: Period
    amount_fen: int | None


def news(told: Told | None, schedule: Sequence[Run], today: Period) -> tuple[News | None, Told | None]:
    """What to tell in the month `today`, and what the person has then been told.

    The first grant is no news: the approval of the application told it.
    """
    coming = next((run for run in schedule if run.holds(today.next)), None)
    if coming is None:
        return _nothing_comes(told, schedule, today)
    now = Told(coming.amount_fen, coming.first)
    if told is None or told.amount_fen == coming.amount_fen:
        return None, told or now
    if told.amount_fen is None:
        return News("entitlement_resumed", max(told.since, coming.first), coming.amount_fen), now
    return News("entitlement_changed", coming.first, coming.amount_fen), now


def _nothing_comes(told: Told | None, schedule: Sequence[Run], today: Period) -> tuple[News | None, Told | None]:
    ended = {run.last: run.amount_fen for run in schedule if run.last is not None and run.last <= today}
    paid_until = max(ended, default=None)
    if told is None:
        return None, None if paid_until is None else Told(None, paid_until.next)
    stopped_from = paid_until.next if paid_until is not None else told.since
    now = Told(None, stopped_from)
    amount_fen = told.amount_fen if paid_until is None else ended[paid_until]
    return (None, told) if now == told else (News("entitlement_stopped", stopped_from, amount_fen), now)


def look_again(schedule: Sequence[Run], today: Period) -> Period | None:
    """The month in which time alone makes something news; None if nothing more is known to change."""
    edges = [run.first for run in schedule] + [run.last.next for run in schedule if run.last is not None]
    return min((edge.plus(-1) for edge in edges if edge > today.next), default=None)


def arrears(
    before: Sequence[Run], after: Sequence[Run], paid_until: Period, overpaid: Mapping[Period, int]
) -> tuple[dict[Period, int], dict[Period, int]]:
    """How much more (fen) each month up to the last paid one is now due, and how much of each is overpaid from now on.

    A month that was not paid yet is not paid later: it comes whole with its own payment. What a month lost after it was
    paid is still in the person's hands: when the month regains it, nothing more is paid.
    """
    first = min((run.first for run in (*before, *after)), default=paid_until.next)
    months = first.through(paid_until) if first <= paid_until else ()
    gained = {month: _amount(after, month) - _amount(before, month) - overpaid.get(month, 0) for month in months}
    return (
        {month: fen for month, fen in gained.items() if fen > 0},
        {month: -fen for month, fen in gained.items() if fen < 0},
    )


def _amount(schedule: Sequence[Run], month: Period) -> int:
    return next((run.amount_fen for run in schedule if run.holds(month)), 0)

"""Overpayments and what is claimed back for them (追回; notice 7.1), month by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from libs.common.period import Period


@dataclass(frozen=True, slots=True)
class ClaimedMonth:
    """What a case claims for one month, and what of it was repaid or written off, in fen."""

    period: Period
    claimed_fen: int
    repaid_fen: int = 0
    written_off_fen: int = 0

    @property
    def outstanding_fen(self) -> int:
        return self.claimed_fen - self.repaid_fen - self.written_off_fen


@dataclass(frozen=True, slots=True)
class Case:
    """One overpayment case of a person and subsidy. `key` is None while it is not stored yet."""

    key: str | None
    cause: str
    months: tuple[ClaimedMonth, ...]

    @property
    def outstanding_fen(self) -> int:
        return sum(month.outstanding_fen for month in self.months)


def review_claims(excess_fen: Mapping[Period, int], cases: Sequence[Case], cause: str) -> list[Case]:
    """The cases that must change, so that they claim exactly what was paid too much.

    `excess_fen`: what was ever settled less what is entitled, per month paid (negative where less was paid).
    `cases`: all cases of the person and subsidy, closed ones too, oldest first; what they claim is not claimed again.
    More excess joins the open case of the same `cause` or opens one. Less excess reduces what is outstanding, then what
    was written off, newest case first: nothing was lost by it. What was repaid stays repaid, and is owed to the person
    again.
    """
    changed = dict(enumerate(cases))
    fresh: list[ClaimedMonth] = []
    for period in sorted(excess_fen.keys() | {month.period for case in cases for month in case.months}):
        claimed = sum(month.claimed_fen for case in cases for month in case.months if month.period == period)
        missing = max(0, excess_fen.get(period, 0)) - claimed
        if missing > 0:
            fresh.append(ClaimedMonth(period, missing))
        for reduced in (_reduced, _not_written_off):
            for index in sorted(changed, reverse=True):
                if missing >= 0:
                    break
                changed[index], missing = reduced(changed[index], period, -missing)
    if fresh:
        joined = next(
            (i for i, case in changed.items() if case.cause == cause and case.outstanding_fen > 0), len(cases)
        )
        changed[joined] = _joined(changed.get(joined, Case(None, cause, ())), fresh)
    return [case for index, case in sorted(changed.items()) if index >= len(cases) or case != cases[index]]


def due_again_fen(case: Case, excess_fen: Mapping[Period, int]) -> int:
    """What of a case was repaid beyond what was paid too much: it is owed to the person again."""
    return sum(max(0, month.repaid_fen - max(0, excess_fen.get(month.period, 0))) for month in case.months)


def allocate(months: Sequence[ClaimedMonth], amount_fen: int) -> dict[Period, int]:
    """A repayment or write-off over the outstanding months, oldest first. ValueError if it is more than is claimed."""
    shares: dict[Period, int] = {}
    for month in sorted(months, key=lambda month: month.period):
        share = min(amount_fen, month.outstanding_fen)
        if share:
            shares[month.period] = share
            amount_fen -= share
    if amount_fen:
        raise ValueError(f"{amount_fen} fen more than is outstanding")
    return shares


def _reduced(case: Case, period: Period, by_fen: int) -> tuple[Case, int]:
    """The case with less claimed for `period`, and what (negative) could not be taken from it."""
    months, left = [], by_fen
    for month in case.months:
        less = min(left, month.outstanding_fen) if month.period == period else 0
        left -= less
        months.append(replace(month, claimed_fen=month.claimed_fen - less))
    return replace(case, months=tuple(months)), -left


def _not_written_off(case: Case, period: Period, by_fen: int) -> tuple[Case, int]:
    """The case with less claimed and written off for `period`, and what (negative) could not be taken from it."""
    months, left = [], by_fen
    for month in case.months:
        less = min(left, month.written_off_fen) if month.period == period else 0
        left -= less
        months.append(
            replace(month, claimed_fen=month.claimed_fen - less, written_off_fen=month.written_off_fen - less)
        )
    return replace(case, months=tuple(months)), -left


def _joined(case: Case, fresh: Sequence[ClaimedMonth]) -> Case:
    months = {month.period: month for month in case.months}
    for month in fresh:
        known = months.get(month.period, ClaimedMonth(month.period, 0))
        months[month.period] = replace(known, claimed_fen=known.claimed_fen + month.claimed_fen)
    return replace(case, months=tuple(months[period] for period in sorted(months)))

"""Schedules: the payable months of each person, joined where they are alike, as columns and as objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from libs.common.period import Period
from libs.common.vocabulary import CATEGORIES, Category
from services.eligibility.columns import LAST_MONTH
from services.eligibility.days import Days
from services.eligibility.policy.eras import Bools, Ints
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.policy.rules import Rule
from services.eligibility.spells import ENDINGS, MonthRuns, Spells

_COUNTY_DIGITS = 6

CAUSES = (
    "application.approved", "spell.resumed", "person.moved", "certificate.reassessed", "standard.changed",
)  # fmt: skip
"""Why months begin, or differ from those before."""
_UNCHANGED = -1
_period = lru_cache(maxsize=4096)(Period.from_index)  # there are few months, and millions of entitlements


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Consecutive months `from_` to `to` (both included, None: for ever) that are payable alike; county `area` pays.

    `cause` says why these months begin, or differ from those before.
    """

    from_: Period
    to: Period | None
    amount_fen: int
    area: str
    level: int
    category: Category
    policy_version: str
    cause: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every payable month of one person and subsidy. `stopped_because` names what keeps the month after the last one
    from being payable, None where there is no last one."""

    entitlements: tuple[Entitlement, ...]
    stopped_because: str | None


@dataclass(frozen=True, slots=True)
class Schedules:
    """Columns over the entitlements of one subsidy, by person and month: the runs `first` to `last`, why they begin
    (a position in CAUSES), and in the last row of a person why they stop: a key of `reasons`, -1 elsewhere."""

    person: Ints
    first: Ints
    last: Ints
    cause: Ints
    stopped: Ints
    reasons: dict[int, str]


def build_schedules(days: Days, runs: MonthRuns, spells: Spells, rules: Sequence[Rule]) -> Schedules:
    """Every person's schedule. Where two spells pay a month the later application's counts."""
    opens = np.append(True, spells.paid_by[1:] != spells.paid_by[:-1])[: len(spells.paid_by)]
    order = np.lexsort((spells.paid_by, spells.paid_run))
    run, opens = spells.paid_run[order], opens[order]
    latest = np.append(run[1:] != run[:-1], True)[: len(run)]
    run, opens = run[latest], opens[latest]

    change = _changes(days, runs, run, opens)
    begins = np.flatnonzero(change != _UNCHANGED)
    first, last = run[begins], run[np.append(begins[1:], len(run))[: len(begins)] - 1]
    person = runs.person[first]
    is_last = np.append(person[1:] != person[:-1], True)[: len(person)]
    stops = is_last & (runs.last[last] < LAST_MONTH)
    reasons = {**{position: rule.name for position, rule in enumerate(rules)}, **ENDINGS}
    stopped = np.full(len(person), -1, dtype=np.int64)
    stopped[stops] = _why_stopped(runs, spells, last[stops])
    return Schedules(person, first, last, change[begins], stopped, reasons)


def _changes(days: Days, runs: MonthRuns, run: Ints, opens: Bools) -> Ints:
    """Why each paid run is another entitlement than the run paid before it; _UNCHANGED where it is the same one."""
    if not len(run):
        return run
    county = _counties(days.areas)[runs.area[run]]
    before, after = run[:-1], run[1:]
    apart = np.append(True, (runs.person[before] != runs.person[after]) | (runs.last[before] + 1 != runs.first[after]))
    moved, level, amount_fen = (
        np.append(False, column[1:] != column[:-1]) for column in (county, runs.level[run], runs.amount_fen[run])
    )
    return np.select([apart & opens, apart, moved, level, amount_fen], [0, 1, 2, 3, 4], default=_UNCHANGED)


def _why_stopped(runs: MonthRuns, spells: Spells, last: Ints) -> Ints:
    """For each person's last paid run what became of the spell that paid it; if it only pauses, what pauses it."""
    by_run = np.argsort(spells.paid_run, kind="stable")  # of several spells that pay a run the first applied for
    spell = spells.paid_by[by_run[np.searchsorted(spells.paid_run[by_run], last)]]
    ended = spells.ended_in[spell] == runs.last[last] + 1
    return np.where(ended, spells.because[spell], runs.because[last + 1])


def _counties(areas: list[str]) -> Ints:
    """A number for the county of each area."""
    code: dict[str, int] = {}
    return np.array([code.setdefault(area[:_COUNTY_DIGITS], len(code)) for area in [*areas, ""]], dtype=np.int64)


def entitlements(schedules: Schedules, days: Days, runs: MonthRuns, policy: PolicySet) -> list[Entitlement]:
    """The rows as objects."""
    first = schedules.first
    columns = (
        runs.first[first], runs.last[schedules.last], runs.amount_fen[first], runs.area[first], runs.level[first],
        runs.category[first], schedules.cause,
    )  # fmt: skip
    return [
        Entitlement(
            from_=_period(begin),
            to=None if end >= LAST_MONTH else _period(end),
            amount_fen=fen,
            area=days.areas[area][:_COUNTY_DIGITS],
            level=level,
            category=CATEGORIES[category],
            policy_version=policy.version(days.areas[area]),
            cause=CAUSES[cause],
        )
        for begin, end, fen, area, level, category, cause in zip(*(column.tolist() for column in columns), strict=True)
    ]

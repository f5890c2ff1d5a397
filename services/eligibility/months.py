"""The day and month rules of one subsidy over many persons at once.

A day qualifies when it meets every condition. A month is payable when a day in it qualifies and no excluding benefit
touches it; its first qualifying day decides area, level and amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import cast

import numpy as np

from libs.common.vocabulary import CATEGORIES, Subsidy
from services.eligibility.days import Days
from services.eligibility.facts import Application
from services.eligibility.policy.eras import Bools, Ints, day_number
from services.eligibility.policy.rules import RULES, Rule, RuleKind
from services.eligibility.spells import MonthRun, Opening, RunState, decided_by

NO_ROW = np.iinfo(np.int64).max


class Months:
    """One subsidy's rules over every row of `days`, and what they make of each run of alike months.

    `qualifying_row` is per run the row of its first qualifying day, `NO_ROW` where none qualifies.
    """

    def __init__(self, subsidy: Subsidy, days: Days) -> None:
        self._days = days
        self._rules = RULES[subsidy]
        self._met: list[Bools] = [rule.judge(days, subsidy) for rule in self._rules]
        self._amount_fen: Ints = days.eras.subsidy[subsidy].amount_fen[days.era, days.level]
        self._qualifies = self._all_met("condition", pauses=(True, False))
        self.qualifying_row: Ints = self._first_row(self._qualifies)
        self._but_pauses = self._first_row(self._all_met("condition", pauses=(False,)))
        self._excluded = self._unmet_in_run(self._all_met("exclusion", pauses=(False,)))
        self._class_paid = self._unmet_in_run(self._all_met("exclusion", pauses=(True,)))
        self._barred = (self._but_pauses == NO_ROW) | self._excluded

    def runs(self, person: int) -> list[MonthRun]:
        """The runs of months of one person."""
        return self._runs[self._days.runs_of[person] : self._days.runs_of[person + 1]]

    def openings(self, persons: Sequence[int], applications: Sequence[Application]) -> list[Opening | None]:
        """For each application the first qualifying day, from application to decision, of a month that is not barred:
        its run, counted from the person's first, and the stay then. None: no spell opens."""
        days = self._days
        person = np.array(persons, dtype=np.int64)
        opens = self._qualifies & ~self._barred[days.run_of_row]
        rows = np.where(opens, np.arange(len(opens)), NO_ROW)
        next_row = np.append(np.minimum.accumulate(rows[::-1])[::-1], NO_ROW)
        row = next_row[days.row_at(person, _numbers(a.applied_on for a in applications))]
        end = days.row_at(person, _numbers(decided_by(a) for a in applications) + 1)
        found = row < end
        row = np.where(found, row, 0)
        position = days.run_of_row[row] - days.runs_of[person]
        stay, era = np.append(days.stays, 0)[days.residence[row]], days.era[row]
        return [
            Opening(*opening) if is_found else None
            for is_found, *opening in zip(
                *(column.tolist() for column in (
                    found, position, stay, days.eras.max_pause_months[era], days.eras.max_wait_months[era],
                )),
                strict=True,
            )
        ]  # fmt: skip

    def decisive_row(self, run: int) -> int:
        """The row of the first qualifying day; without one the earliest row that the fewest conditions fail on."""
        row = int(self.qualifying_row[run])
        if row != NO_ROW:
            return row
        rows = self._days.rows_of(run)
        unmet = np.sum([~met[rows] for _, met in self._of("condition")], axis=0)
        return int(rows.start) + int(np.argmin(unmet))

    def amount_fen(self, row: int) -> int:
        """The standard of the row's area, day and level; -1 where none is set."""
        return int(self._amount_fen[row])

    def outcomes(self, run: int, row: int) -> Iterator[tuple[Rule, bool]]:
        """Whether each rule is met: conditions on the day of `row`, exclusions on every day of the run."""
        rows = self._days.rows_of(run)
        for rule, met in zip(self._rules, self._met, strict=True):
            yield rule, bool(met[row]) if rule.kind == "condition" else bool(met[rows].all())

    @cached_property
    def _runs(self) -> list[MonthRun]:
        days, start = self._days, self._days.run_row
        qualified, unqualified = self.qualifying_row != NO_ROW, self._but_pauses == NO_ROW
        paused = ~self._barred & (~qualified | self._class_paid)
        decisive = np.select([qualified, ~unqualified], [self.qualifying_row, self._but_pauses], default=start)
        because = np.select(
            [unqualified, self._excluded, ~qualified, paused],
            [
                self._first_unmet("condition", pauses=False)[start],
                np.maximum.reduceat(self._first_unmet("exclusion", pauses=False), start),
                self._first_unmet("condition", pauses=True)[decisive],
                np.maximum.reduceat(self._first_unmet("exclusion", pauses=True), start),
            ],
            default=-1,
        )
        states: tuple[RunState, ...] = ("payable", "paused", "barred")
        names = [*(rule.name for rule in self._rules), ""]
        residence = days.residence[decisive]
        areas, stays = [*days.areas, ""], np.append(days.stays, 0)[residence]
        columns = (
            days.run_first, days.run_last, paused + 2 * self._barred, because, days.number[decisive],
            stays, residence, days.level[decisive], days.category[decisive], self._amount_fen[decisive],
        )  # fmt: skip
        return [
            MonthRun(first, last, states[state], names[rule], day, stay, areas[r], level, CATEGORIES[category], fen)
            for first, last, state, rule, day, stay, r, level, category, fen in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def _of(self, kind: RuleKind) -> list[tuple[Rule, Bools]]:
        return [(rule, met) for rule, met in zip(self._rules, self._met, strict=True) if rule.kind == kind]

    def _all_met(self, kind: RuleKind, pauses: tuple[bool, ...]) -> Bools:
        return cast(Bools, np.logical_and.reduce([met for rule, met in self._of(kind) if rule.pauses in pauses]))

    def _first_row(self, which: Bools) -> Ints:
        return np.minimum.reduceat(np.where(which, np.arange(len(which)), NO_ROW), self._days.run_row)

    def _unmet_in_run(self, met: Bools) -> Bools:
        return ~np.logical_and.reduceat(met, self._days.run_row)

    def _first_unmet(self, kind: RuleKind, *, pauses: bool) -> Ints:
        """Per row the position of the first rule that fails, -1 where none does."""
        first = np.full(len(self._days.person), -1, dtype=np.int64)
        for position, rule in reversed(list(enumerate(self._rules))):
            if rule.kind == kind and rule.pauses == pauses:
                first[~self._met[position]] = position
        return first


def _numbers(dates: Iterator[object]) -> Ints:
    return np.fromiter((day_number(day) for day in dates), dtype=np.int64)  # type: ignore[arg-type]

"""The day and month rules of one subsidy over many persons at once.

A day qualifies when it meets every condition. A month is payable when a day in it qualifies and no excluding benefit
touches it; its first qualifying day decides area, level and amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from libs.common.vocabulary import Subsidy
from services.eligibility.columns import Applications
from services.eligibility.days import Days
from services.eligibility.policy.eras import Bools, Ints
from services.eligibility.policy.rules import RULES, Rule, RuleKind, all_met
from services.eligibility.spells import BARRED, NO_OPENING, PAUSED, PAYABLE, MonthRuns, Openings

NO_ROW = np.iinfo(np.int64).max


class Months:
    """What one subsidy's rules, `met` or not by each row of `days`, make of each run of alike months.

    `qualifying_row` is per run the row of its first qualifying day, `NO_ROW` where none qualifies.
    """

    def __init__(self, subsidy: Subsidy, days: Days, met: Sequence[Bools]) -> None:
        self._days = days
        self.rules: tuple[Rule, ...] = RULES[subsidy]
        self._met = met
        self._amount_fen: Ints = days.eras.subsidy[subsidy].amount_fen[days.era, days.level]
        self._qualifies = self._all_met("condition", pauses=(True, False))
        self.qualifying_row: Ints = self._first_row(self._qualifies)
        self._but_pauses = self._first_row(self._all_met("condition", pauses=(False,)))
        self._excluded = self._unmet_in_run(self._all_met("exclusion", pauses=(False,)))
        self._class_paid = self._unmet_in_run(self._all_met("exclusion", pauses=(True,)))
        self._barred = (self._but_pauses == NO_ROW) | self._excluded

    def openings(self, applications: Applications) -> Openings:
        """For each application the first qualifying day, from application to decision, of a month that is not barred:
        its run, the stay then, and the limits in force then."""
        days = self._days
        opens = self._qualifies & ~self._barred[days.run_of_row]
        rows = np.where(opens, np.arange(len(opens)), NO_ROW)
        next_row = np.append(np.minimum.accumulate(rows[::-1])[::-1], NO_ROW)
        row = next_row[days.row_at(applications.person, applications.applied_on)]
        found = row < days.row_at(applications.person, applications.decided_on + 1)
        row = np.where(found, row, 0)
        era = days.era[row]
        return Openings(
            run=np.where(found, days.run_of_row[row], NO_OPENING),
            left_at=days.stay_broken[days.stay[row] + 1],
            max_pause_months=days.eras.max_pause_months[era],
            max_wait_months=days.eras.max_wait_months[era],
        )

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
        for rule, met in zip(self.rules, self._met, strict=True):
            yield rule, bool(met[row]) if rule.kind == "condition" else bool(met[rows].all())

    @cached_property
    def runs(self) -> MonthRuns:
        """What becomes of each run of alike months."""
        days, start = self._days, self._days.run_row
        qualified, unqualified = self.qualifying_row != NO_ROW, self._but_pauses == NO_ROW
        paused = ~self._barred & (~qualified | self._class_paid)
        decisive = np.where(qualified, self.qualifying_row, np.where(unqualified, start, self._but_pauses))
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
        return MonthRuns(
            person=days.person[start],
            first=days.run_first,
            last=days.run_last,
            state=np.select([self._barred, paused], [BARRED, PAUSED], default=PAYABLE),
            because=because,
            day=days.number[decisive],
            stay=days.stay[decisive],
            area=days.residence[decisive],
            level=days.level[decisive],
            category=days.category[decisive],
            amount_fen=self._amount_fen[decisive],
        )

    def _of(self, kind: RuleKind) -> list[tuple[Rule, Bools]]:
        return [(rule, met) for rule, met in zip(self.rules, self._met, strict=True) if rule.kind == kind]

    def _all_met(self, kind: RuleKind, pauses: tuple[bool, ...]) -> Bools:
        return all_met([met for rule, met in self._of(kind) if rule.pauses in pauses])

    def _first_row(self, which: Bools) -> Ints:
        return np.minimum.reduceat(np.where(which, np.arange(len(which)), NO_ROW), self._days.run_row)

    def _unmet_in_run(self, met: Bools) -> Bools:
        return ~np.logical_and.reduceat(met, self._days.run_row)

    def _first_unmet(self, kind: RuleKind, *, pauses: bool) -> Ints:
        """Per row the position of the first rule that fails, -1 where none does."""
        first = np.full(len(self._days.person), -1, dtype=np.int64)
        for position, rule in reversed(list(enumerate(self.rules))):
            if rule.kind == kind and rule.pauses == pauses:
                first[~self._met[position]] = position
        return first

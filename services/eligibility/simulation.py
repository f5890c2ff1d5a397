"""What a change of policy would do: persons and fen before and after, and who gains or loses. Pure; stores nothing.

A chunk of persons is judged under both policies; the sums of chunks add up to the simulation's (`Sums.add`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import product
from typing import Any

import numpy as np

from libs.common.period import Period
from libs.common.vocabulary import CATEGORIES, SUBSIDIES, Subsidy
from services.eligibility.columns import NEVER, Applications, FactColumns
from services.eligibility.determination import Determination
from services.eligibility.policy.eras import Bools, Ints, day_number
from services.eligibility.policy.names import NAMES, Value
from services.eligibility.policy.parameters import Parameter, PolicyLayer, PolicySet, whole_keys

FORECAST_MONTHS = 12
_COUNTY_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter given another value in an area from a day on."""

    name: str
    value: Value
    area: str
    since: date


@dataclass(frozen=True, slots=True)
class Effect:
    """One person whose month differs. Fen of the month, 0 where it is not payable."""

    person: int
    subsidy: Subsidy
    before_fen: int
    after_fen: int


Group = tuple[str, str, str, str]
"""Subsidy, county, level, category."""


@dataclass(slots=True)
class Sums:
    """Per group: persons before, fen before, persons after, fen after; per month of the forecast and subsidy the same.

    `potential`: persons without an application for the subsidy who would be payable in the month if they applied in it.
    """

    persons: int = 0
    payable: list[int] = field(default_factory=lambda: [0, 0])
    """Persons with a subsidy at all, before and after."""
    groups: dict[Group, list[int]] = field(default_factory=dict)
    months: dict[tuple[str, Subsidy], list[int]] = field(default_factory=dict)
    ages: dict[tuple[int, int, Subsidy], list[int]] = field(default_factory=dict)
    """Who is paid in the month and reaches an age in a year that the forecast touches: by age and year."""
    potential: dict[Subsidy, list[int]] = field(default_factory=dict)
    changed: dict[Subsidy, list[int]] = field(default_factory=dict)
    """Persons who gain and who lose."""

    def add(self, other: Sums) -> None:
        """Adds what another chunk came to."""
        self.persons += other.persons
        self.payable = [a + b for a, b in zip(self.payable, other.payable, strict=True)]
        pairs: list[tuple[dict[Any, list[int]], dict[Any, list[int]]]] = [
            (self.groups, other.groups),
            (self.months, other.months),
            (self.ages, other.ages),
            (self.potential, other.potential),
            (self.changed, other.changed),
        ]
        for mine, theirs in pairs:
            for key, counts in theirs.items():
                held = mine.setdefault(key, [0] * len(counts))
                held[:] = [a + b for a, b in zip(held, counts, strict=True)]

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "persons": self.persons,
            "payable": self.payable,
            "groups": [[*key, counts] for key, counts in self.groups.items()],
            "months": [[*key, counts] for key, counts in self.months.items()],
            "ages": [[*key, counts] for key, counts in self.ages.items()],
            "potential": self.potential,
            "changed": self.changed,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Sums:
        """The sums as they were stored."""
        return cls(
            persons=stored["persons"],
            payable=stored["payable"],
            groups={(s, county, level, category): counts for s, county, level, category, counts in stored["groups"]},
            months={(period, subsidy): counts for period, subsidy, counts in stored["months"]},
            ages={(age, year, subsidy): counts for age, year, subsidy, counts in stored["ages"]},
            potential=stored["potential"],
            changed=stored["changed"],
        )


def problems(changes: Iterable[Change]) -> list[tuple[str, str]]:
    """The changes that cannot be tried: name and what is wrong. A simulation may try what a layer may not do."""
    found = []
    for change in changes:
        name = NAMES.get(change.name)
        wrong = f"unknown name {change.name}" if name is None else name.problem(whole_keys(change.value))
        if wrong:
            found.append((change.name, wrong))
    return found


def with_changes(policy: PolicySet, changes: Iterable[Change]) -> PolicySet:
    """The policy as if the changes had been decided.

    A change counts as it stands, whatever the layers above say, also where it lowers an amount or narrows a scope:
    to see that is what a simulation is for. Values that begin later are left as they are.
    """
    simulated = policy
    for change in changes:
        tried = Parameter(
            change.name, whole_keys(change.value), change.area, change.since, "simulation", "", "U", as_it_stands=True
        )
        simulated = simulated.with_layers([PolicyLayer(change.area, "simulation", (tried,))])
    return simulated


def simulate(
    facts: FactColumns, birth_years: Ints, before: PolicySet, after: PolicySet, area: str, period: Period
) -> tuple[Sums, list[Effect]]:
    """What the persons come to in one month, and the twelve from it on, in `area` under two policies. A year of birth
    is 0 where it is not known."""
    if not facts.persons:
        return Sums(), []
    judged = [Determination(facts, policy) for policy in (before, after)]
    asked = [Determination(_all_applying(facts, period), policy, since=period) for policy in (before, after)]
    sums, effects = Sums(persons=facts.persons), []
    has = np.zeros((2, facts.persons), dtype=bool)
    for subsidy in SUBSIDIES:
        held = [_Held(one, subsidy, area) for one in judged]
        fen = np.array([one.fen_of_persons(period, facts.persons) for one in held])
        has |= fen > 0
        for side, one in enumerate(held):
            for key, (persons, group_fen) in one.groups(period).items():
                _tally(sums.groups, (subsidy, *key), side, persons, group_fen)
            for month in range(FORECAST_MONTHS):
                at = period.plus(month)
                _tally(sums.months, (str(at), subsidy), side, *one.total(at))
        for person in np.flatnonzero(fen[0] != fen[1]).tolist():
            effects.append(Effect(person, subsidy, int(fen[0, person]), int(fen[1, person])))
        for age, year in product(after.value("forecast.ages", area, period.first_day) or (), _years(period)):
            turning = fen[:, birth_years == year - age]
            for side in (0, 1):
                persons = int((turning[side] > 0).sum())
                _tally(sums.ages, (age, year, subsidy), side, persons, int(turning[side].sum()))
        sums.changed[subsidy] = [int((fen[1] > fen[0]).sum()), int((fen[1] < fen[0]).sum())]
        never_asked = np.bincount(facts.applications.for_subsidy(subsidy).person, minlength=facts.persons) == 0
        for side, applying in enumerate(asked):
            could = _Held(applying, subsidy, area).fen_of_persons(period, facts.persons)[never_asked]
            _tally(sums.potential, subsidy, side, int((could > 0).sum()), int(could.sum()))
    sums.payable = has.sum(axis=1).tolist()
    return sums, effects


def _years(period: Period) -> list[int]:
    """The calendar years that the forecast touches."""
    return sorted({period.year, period.plus(FORECAST_MONTHS - 1).year})


def _all_applying(facts: FactColumns, period: Period) -> FactColumns:
    """The same persons as if each had applied for both on the first of the month, and for nothing before."""
    person = np.repeat(np.arange(facts.persons), len(SUBSIDIES))
    applied_on, decided_on = (np.full_like(person, day_number(day)) for day in (period.first_day, period.last_day))
    subsidy = np.tile(np.arange(len(SUBSIDIES)), facts.persons)
    return replace(
        facts, applications=Applications(person, subsidy, applied_on, decided_on, np.full_like(person, NEVER))
    )


class _Held:
    """What one policy entitles persons to that `area` pays, of one subsidy, as columns over entitlements."""

    def __init__(self, judged: Determination, subsidy: Subsidy, area: str) -> None:
        schedules, runs = judged.judged[subsidy].schedules, judged.judged[subsidy].months.runs
        self._counties = [code[:_COUNTY_DIGITS] for code in judged.days.areas]
        pays = np.array([county.startswith(area) for county in self._counties], dtype=bool)
        here = pays[runs.area[schedules.first]]
        first, last = schedules.first[here], schedules.last[here]
        self._person, self._from, self._to = schedules.person[here], runs.first[first], runs.last[last]
        self._fen, self._level = runs.amount_fen[first], runs.level[first]
        self._area, self._category = runs.area[first], runs.category[first]

    def fen_of_persons(self, period: Period, persons: int) -> Ints:
        """Per person the fen of one month, 0 where it is not payable."""
        at, fen = self._in(period), np.zeros(persons, dtype=np.int64)
        fen[self._person[at]] = self._fen[at]
        return fen

    def total(self, period: Period) -> tuple[int, int]:
        """Persons and fen of one month."""
        at = self._in(period)
        return int(at.sum()), int(self._fen[at].sum())

    def groups(self, period: Period) -> dict[tuple[str, str, str], tuple[int, int]]:
        """Persons and fen of one month by county, level and category."""
        at = self._in(period)
        codes, group = np.unique(
            np.stack([self._area[at], self._level[at], self._category[at]]), axis=1, return_inverse=True
        )
        found: dict[tuple[str, str, str], tuple[int, int]] = {}
        fen = np.bincount(group.ravel(), weights=self._fen[at], minlength=codes.shape[1])
        counts = zip(*codes.tolist(), np.bincount(group.ravel()).tolist(), fen.tolist(), strict=True)
        for area, level, category, persons, sum_fen in counts:
            key = (self._counties[area], str(level), str(CATEGORIES[category]))
            before = found.get(key, (0, 0))
            found[key] = (before[0] + persons, before[1] + int(sum_fen))
        return found

    def _in(self, period: Period) -> Bools:
        within: Bools = np.logical_and(self._from <= period.index, self._to >= period.index)
        return within


def _tally(counts: dict[Any, list[int]], key: Any, side: int, persons: int, fen: int) -> None:
    """Adds persons and fen to the side before (0) or after (1)."""
    held = counts.setdefault(key, [0, 0, 0, 0])
    held[2 * side] += persons
    held[2 * side + 1] += fen


def report(sums: Sums) -> dict[str, Any]:
    """What the sums come to: totals, and by county, level and category; the forecast by month."""
    by = {"county": 1, "level": 2, "category": 3}
    fen = [sum(counts[side] for counts in sums.groups.values()) for side in (1, 3)]
    return {
        "persons_judged": sums.persons,
        "before": {"persons": sums.payable[0], "amount_fen": fen[0]},
        "after": {"persons": sums.payable[1], "amount_fen": fen[1]},
        "totals": _listed(sums.groups, ("subsidy",), (0,)),
        **{f"by_{name}": _listed(sums.groups, ("subsidy", name), (0, at)) for name, at in by.items()},
        "gain": {subsidy: sums.changed.get(subsidy, [0, 0])[0] for subsidy in SUBSIDIES},
        "lose": {subsidy: sums.changed.get(subsidy, [0, 0])[1] for subsidy in SUBSIDIES},
        "potential": _listed({(s,): counts for s, counts in sums.potential.items()}, ("subsidy",), (0,)),
        "ages": _listed(sums.ages, ("age", "year", "subsidy"), (0, 1, 2)),
        "forecast": _listed(sums.months, ("period", "subsidy"), (0, 1)),
    }


def _listed(counts: dict[Any, list[int]], names: tuple[str, ...], at: tuple[int, ...]) -> list[dict[str, Any]]:
    added: dict[tuple[str, ...], list[int]] = {}
    for key, values in counts.items():
        held = added.setdefault(tuple(str(key[position]) for position in at), [0, 0, 0, 0])
        held[:] = [a + b for a, b in zip(held, values, strict=True)]
    return [
        {
            **dict(zip(names, key, strict=True)),
            "persons_before": values[0],
            "fen_before": values[1],
            "persons_after": values[2],
            "fen_after": values[3],
        }
        for key, values in sorted(added.items())
    ]

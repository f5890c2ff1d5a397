"""What a change of policy would do: persons and fen before and after, and who gains or loses. Pure; stores nothing.

A chunk of persons is judged under both policies; the sums of chunks add up to the simulation's (`Sums.add`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.determination import Determination
from services.eligibility.facts import Application, Facts
from services.eligibility.policy.names import NAMES, Value
from services.eligibility.policy.parameters import Parameter, PolicyLayer, PolicySet, whole_keys
from services.eligibility.schedules import Entitlement, Schedule

FORECAST_MONTHS = 12
_UNKNOWN = "-"


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
    persons: Sequence[Facts], before: PolicySet, after: PolicySet, area: str, period: Period
) -> tuple[Sums, list[Effect]]:
    """What the persons come to in one month, and the twelve from it on, in `area` under two policies."""
    judged = [Determination(persons, policy) for policy in (before, after)] if persons else []
    applying = [_applying(facts, period) for facts in persons]
    asked = [Determination(applying, policy, since=period) for policy in (before, after)] if persons else []
    sums, effects = Sums(persons=len(persons)), []
    for position, facts in enumerate(persons):
        has = [False, False]
        for subsidy in SUBSIDIES:
            schedules = [one.schedule(position, subsidy) for one in judged]
            held = [_month(schedule, period, area) for schedule in schedules]
            has = [had or entry is not None for had, entry in zip(has, held, strict=True)]
            _count_month(sums, subsidy, held)
            fen = [0 if entry is None else entry.amount_fen for entry in held]
            if fen[0] != fen[1]:
                effects.append(Effect(position, subsidy, fen[0], fen[1]))
                sums.changed.setdefault(subsidy, [0, 0])[0 if fen[1] > fen[0] else 1] += 1
            for month in range(FORECAST_MONTHS):
                at = period.plus(month)
                _tally(sums.months, (str(at), subsidy), [_month(schedule, at, area) for schedule in schedules])
            if not any(application.subsidy == subsidy for application in facts.applications):
                could = [_month(one.schedule(position, subsidy), period, area) for one in asked]
                _tally(sums.potential, subsidy, could)
        sums.payable = [count + one for count, one in zip(sums.payable, has, strict=True)]
    return sums, effects


def _applying(facts: Facts, period: Period) -> Facts:
    applications = tuple(Application(subsidy, period.first_day) for subsidy in SUBSIDIES)
    return replace(facts, applications=applications)


def _month(schedule: Schedule, period: Period, area: str) -> Entitlement | None:
    """The months that `period` is one of, if the area pays them."""
    for entry in schedule.entitlements:
        if entry.from_ <= period and (entry.to is None or period <= entry.to):
            return entry if entry.area.startswith(area) else None
    return None


def _count_month(sums: Sums, subsidy: Subsidy, held: list[Entitlement | None]) -> None:
    for side, entry in enumerate(held):
        if entry is not None:
            key = (subsidy, entry.area, str(entry.level), str(entry.category or _UNKNOWN))
            _tally(sums.groups, key, [entry if side == at else None for at in (0, 1)])


def _tally(counts: dict[Any, list[int]], key: Any, sides: list[Entitlement | None]) -> None:
    """Persons and fen, before and after."""
    held = counts.setdefault(key, [0, 0, 0, 0])
    for side, entry in enumerate(sides):
        if entry is not None:
            held[2 * side] += 1
            held[2 * side + 1] += entry.amount_fen


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

"""One assessment and a batch of 500, beside the bare condition arithmetic on columns that are ready.

The limit is what NumPy itself needs for the conditions of care on the same rows, written by hand; `rules` are the named
rules over the same columns. `schedules` is everything: facts laid out as rows, both subsidies, months, spells, and the
schedules as objects; for one person also the decisions with their reasons.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import cast

import numpy as np

from benchmarks.platform import Comparison, report
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES
from services.eligibility.columns import columns_of
from services.eligibility.days import Days, spread
from services.eligibility.determination import Determination
from services.eligibility.facts import (
    BEGINNING,
    Application,
    Benefit,
    Certificate,
    Facts,
    Life,
    LowIncome,
    Residence,
)
from services.eligibility.policy.eras import CUSTODY_BIT, Bools, compile_eras
from services.eligibility.policy.parameters import shipped
from services.eligibility.policy.rules import RULES

_ROUNDS = 9
_SINCE = Period(2025, 1)


def _person(chance: random.Random) -> Facts:
    applied_on = date(2025, 1, 1) + timedelta(days=chance.randrange(365))
    expires_on = date(2026, 1, 1) + timedelta(days=chance.randrange(3000))
    left_on = date(2026, 1, 1) + timedelta(days=chance.randrange(300)) if chance.random() < 0.2 else None
    return Facts(
        applications=tuple(Application(subsidy, applied_on) for subsidy in SUBSIDIES),
        certificates=(Certificate("physical", chance.randint(1, 4), "valid", date(2018, 1, 1), expires_on),),
        low_income=(LowIncome("dibao", date(2020, 1, 1), left_on),),
        residences=(Residence("530102001", BEGINNING),),
        benefits=(Benefit("old_age", date(2025, 5, 1)),) if chance.random() < 0.3 else (),
        life=(Life("died", date(2026, 6, 1)),) if chance.random() < 0.05 else (),
    )


def _bare(days: Days) -> Bools:
    """The conditions of care as one would write them for this one purpose."""
    serving = CUSTODY_BIT["serving"] | CUSTODY_BIT["detention_serving"]
    eras, era = days.eras, days.era
    care = eras.subsidy["care"]
    return cast(
        Bools,
        days.alive
        & ~days.missing
        & ((days.custody & serving) == 0)
        & (days.residence >= 0)
        & eras.governed[era]
        & (days.status == 0)
        & ((days.disability & care.disability[era]) != 0)
        & (((eras.presumed_levels[era] >> days.level) & 1) == 1)
        & ((days.income & care.excluding_income[era]) == 0)
        & ((days.benefits & (care.excluding_benefits[era] | care.same_class[era])) == 0),
    )


def _rules(days: Days) -> Bools:
    return cast(Bools, np.logical_and.reduce([rule.judge(days, "care") for rule in RULES["care"]]))


def _assess(persons: list[Facts]) -> None:
    judged = Determination(persons, shipped())
    for position in range(len(persons)):
        for subsidy in SUBSIDIES:
            judged.schedule(position, subsidy)


def _explain(person: Facts) -> None:
    judged = Determination([person], shipped(), since=_SINCE)
    for subsidy in SUBSIDIES:
        judged.decision(0, subsidy, Period(2026, 3), "530102")


def _seconds(work: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


def main() -> None:
    chance = random.Random(1)
    persons = [_person(chance) for _ in range(500)]
    eras = compile_eras(shipped())
    batch, single = (
        spread(facts, facts.first_days(), eras) for facts in (columns_of(persons), columns_of(persons[:1]))
    )
    _assess(persons)

    took: dict[str, list[float]] = {}
    for _ in range(_ROUNDS):
        for name, work, times in (
            ("one, bare", lambda: _bare(single), 300),
            ("one, rules", lambda: _rules(single), 300),
            ("one, schedules", lambda: _assess(persons[:1]), 100),
            ("one, decisions with reasons", lambda: _explain(persons[0]), 100),
            ("500, bare", lambda: _bare(batch), 50),
            ("500, rules", lambda: _rules(batch), 50),
            ("500, schedules", lambda: _assess(persons), 3),
        ):
            took.setdefault(name, []).append(_seconds(work, times))

    print(f"{len(batch.person):,} rows of 500 persons; {len(single.person)} of one")
    print(f"{'':30}{'µs':>10}{'µs a person':>14}{'× bare':>10}")
    for name, rounds in took.items():
        size = 500 if name.startswith("500") else 1
        bare = statistics.median(took[f"{size if size > 1 else 'one'}, bare"])
        median = statistics.median(rounds)
        print(f"{name:30}{median * 1e6:>10,.1f}{median * 1e6 / size:>14,.2f}{median / bare:>10,.1f}")

    def comparison(name: str, subject: str, limit: str, size: int, goal: float) -> Comparison:
        rates = [[size / seconds for seconds in took[which]] for which in (subject, limit)]
        return Comparison(name, "persons/s", goal, rates[0], rates[1])

    report(
        "assessment",
        [
            comparison("rules of 500 against bare NumPy", "500, rules", "500, bare", 500, 0.5),
            comparison("rules of one against bare NumPy", "one, rules", "one, bare", 1, 0.4),
        ],
        schedules_of_500_us_a_person=round(statistics.median(took["500, schedules"]) * 1e6 / 500, 1),
        schedules_of_one_us=round(statistics.median(took["one, schedules"]) * 1e6),
        decisions_of_one_us=round(statistics.median(took["one, decisions with reasons"]) * 1e6),
    )


if __name__ == "__main__":
    main()

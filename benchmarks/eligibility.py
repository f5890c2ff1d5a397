"""The rules by the million: `python -m benchmarks.eligibility [--millions 1 5 28] [--schedules 1]`.

What living and care pay to each person on one day, from the same columns, four ways:

* the named rules of `policy/rules.py`, which also judge one person on an event;
* bare NumPy, the same comparisons written by hand for this one purpose, the shared ones computed once: the limit;
* OpenFisca-core, a variable a rule, given the values in force as input (it need not look up parameters): a peer, and an
  oracle, for both must give the same fen to everybody. It is not among the project's dependencies; without it the
  comparison is left out: `pip install --no-deps --target DIR openfisca-core==44.7.1 StrEnum dpath numexpr pendulum
  sortedcontainers python-dateutil tzdata time-machine six` and `PYTHONPATH=DIR`;
* a plain Python function, on a part of the persons.

Then everything: from Arrow facts of whole lives to schedules, both subsidies, chunk by chunk, with the memory it took.
"""

from __future__ import annotations

import argparse
import functools
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from benchmarks.peers import openfisca_pays, python_pays
from benchmarks.platform import Comparison, report
from benchmarks.population import population
from libs.common.vocabulary import SUBSIDIES
from services.eligibility.bulk.arrow import write_facts
from services.eligibility.bulk.evaluation import CHUNK_PERSONS, judge
from services.eligibility.days import Days
from services.eligibility.policy.eras import (
    BENEFIT_BIT,
    CUSTODY_BIT,
    DISABILITY_BIT,
    INCOME_BIT,
    Ints,
    compile_eras,
    day_number,
)
from services.eligibility.policy.parameters import shipped
from services.eligibility.policy.rules import all_met, judge_all

BLOCK = 1 << 15
"""Rows at a time, for the rules and for their limit: as many as the cache likes."""
PYTHON_ROWS = 20_000
ONE_TIMES = 2_000
_SERVING = CUSTODY_BIT["serving"] | CUSTODY_BIT["detention_serving"]


def one_day(persons: int, seed: int) -> Days:
    """A row a person: what holds of each on some day of 2025 or 2026."""
    chance = np.random.default_rng(seed)
    eras = compile_eras(shipped())
    number = day_number(date(2025, 1, 1)) + chance.integers(0, 730, persons)
    level, category = chance.integers(1, 5, persons), chance.integers(0, 7, persons)

    def bits(words: Sequence[int], share: float) -> Ints:
        return np.where(chance.random(persons) < share, chance.choice(words, persons), 0)

    disability = np.array([[0, *(DISABILITY_BIT[c, n] for n in (1, 2, 3, 4))] for c in _categories()])
    row = np.arange(persons)
    return Days(
        eras=eras,
        person=row,
        number=number,
        last=number,
        month=number,
        era=eras.of(eras.policy.chain("530102"), number),
        alive=chance.random(persons) < 0.97,
        missing=chance.random(persons) < 0.01,
        custody=bits(list(CUSTODY_BIT.values()), 0.02),
        income=bits(list(INCOME_BIT.values()), 0.7),
        benefits=bits(list(BENEFIT_BIT.values()), 0.2),
        residence=np.where(chance.random(persons) < 0.98, 0, -1),
        stay=row,
        status=np.where(chance.random(persons) < 0.9, 0, chance.integers(-1, 6, persons)),
        level=level,
        category=category,
        disability=disability[category, level],
        care_need=chance.integers(-1, 2, persons),
        areas=["530102"],
        stay_broken=row,
        run_row=row,
        run_first=number,
        run_last=number,
        runs_of=row,
        run_of_row=row,
    )


def _categories() -> list[Any]:
    return list(dict.fromkeys(category for category, _ in DISABILITY_BIT))


def rules(days: Days) -> list[Ints]:
    met = judge_all(days)
    return [
        np.where(all_met(met[subsidy]), days.eras.subsidy[subsidy].amount_fen[days.era, days.level], 0)
        for subsidy in SUBSIDIES
    ]


def bare(days: Days) -> list[Ints]:
    eras, era, income, benefits = days.eras, days.era, days.income, days.benefits
    living, care = eras.subsidy["living"], eras.subsidy["care"]
    anyone = (
        days.alive
        & ~days.missing
        & ((days.custody & _SERVING) == 0)
        & (days.residence >= 0)
        & eras.governed[era]
        & (days.status == 0)
    )
    poor = (
        anyone
        & ((income & living.income[era]) != 0)
        & ((income & living.excluding_income[era]) == 0)
        & ((benefits & (living.excluding_benefits | living.same_class)[era]) == 0)
    )
    care_fen = care.amount_fen[era, days.level]
    severe = (
        anyone
        & ((days.disability & care.disability[era]) != 0)
        & (care_fen > 0)
        & ((days.care_need == 1) | ((days.care_need == -1) & (((eras.presumed_levels[era] >> days.level) & 1) == 1)))
        & ((income & care.excluding_income[era]) == 0)
        & ((benefits & (care.excluding_benefits | care.same_class)[era]) == 0)
    )
    return [np.where(poor, living.amount_fen[era, days.level], 0), np.where(severe, care_fen, 0)]


_COLUMNS = (
    "era", "alive", "missing", "custody", "income", "benefits", "residence", "status", "level", "disability",
    "care_need",
)  # fmt: skip


def blocks(days: Days) -> list[Days]:
    """Pieces of the same columns, not copied."""
    return [
        replace(days, **{name: getattr(days, name)[start : start + BLOCK] for name in _COLUMNS})
        for start in range(0, len(days.era), BLOCK)
    ]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    done = work()
    return done, time.perf_counter() - started


@dataclass
class Rates:
    """Persons a second, one entry per million."""

    rules: list[float]
    bare: list[float]
    openfisca: list[float]
    python: list[float]
    differences: int = 0


def by_the_million(millions: float) -> Rates:
    rates = Rates([], [], [], [])
    whole = int(millions * 1e6)
    for seed, start in enumerate(range(0, whole, 1_000_000)):
        persons = min(1_000_000, whole - start)
        days = one_day(persons, seed)
        pieces = blocks(days)
        bare(pieces[0])  # both find the memory warm
        ours, took_s = timed(lambda pieces=pieces: [rules(piece) for piece in pieces])
        limit, limit_s = timed(lambda pieces=pieces: [bare(piece) for piece in pieces])
        rates.rules.append(persons / took_s)
        rates.bare.append(persons / limit_s)
        fen = [np.concatenate([piece[which] for piece in ours]) for which in range(2)]
        rates.differences += sum(_different(fen, [np.concatenate([p[w] for p in limit]) for w in range(2)]))
        peer, peer_s = timed(functools.partial(openfisca_pays, days))
        if peer is not None:
            rates.openfisca.append(persons / peer_s)
            rates.differences += sum(_different(fen, peer))
        slow, slow_s = timed(functools.partial(python_pays, days, min(PYTHON_ROWS, persons)))
        rates.python.append(len(slow[0]) / slow_s)
        rates.differences += sum(_different([column[: len(slow[0])] for column in fen], slow))
    return rates


def _different(one: Sequence[Ints], other: Sequence[Any]) -> list[int]:
    return [int(np.count_nonzero(a != b)) for a, b in zip(one, other, strict=True)]


def one_person(rounds: int = 9) -> Comparison:
    """Assessing one: a row at a time, as an event does."""
    days = one_day(1, 1)
    took: dict[str, list[float]] = {"rules": [], "bare": []}
    for _ in range(rounds):
        for name, work in (("rules", rules), ("bare", bare)):
            _, took_s = timed(lambda work=work: [work(days) for _ in range(ONE_TIMES)])
            took[name].append(ONE_TIMES / took_s)
    return Comparison("one person against bare one-row NumPy", "persons/s", 0.5, took["rules"], took["bare"])


def whole_lives(millions: float) -> tuple[float, int]:
    """Persons a second from Arrow facts to schedules, and entitlements found; the facts are made beforehand."""
    persons, spent_s, found = int(millions * 1e6), 0.0, 0
    for seed, start in enumerate(range(0, persons, CHUNK_PERSONS)):
        count = min(CHUNK_PERSONS, persons - start)
        batch = write_facts([f"p1-{start + number:032x}" for number in range(count)], population(count, seed))
        schedules, took_s = timed(lambda batch=batch: list(judge([batch], shipped())))
        spent_s += took_s
        found += sum(part.num_rows for part in schedules)
    return persons / spent_s, found


def main(sizes: Sequence[float], schedules: float) -> None:
    comparisons = [one_person()]
    differences = 0
    for millions in sizes:
        rates = by_the_million(millions)
        differences += rates.differences
        peers = (("bare NumPy", 0.5, rates.bare), ("OpenFisca", 3.0, rates.openfisca), ("Python", 3.0, rates.python))
        for peer, goal, rate in peers:
            if rate:
                name = f"{millions:g} M persons, rules against {peer}"
                comparisons.append(Comparison(name, "persons/s", goal, rates.rules, rate))
    rate, found = whole_lives(schedules)
    report(
        "eligibility",
        comparisons,
        differences_in_fen_between_them=differences,
        whole_lives_persons_a_second=f"{rate:,.0f} ({schedules:g} M, {found:,} entitlements)",
        most_memory_gib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    )
    assert differences == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5, 28], help="sizes, in million persons")
    parser.add_argument("--schedules", type=float, default=1, help="million whole lives")
    arguments = parser.parse_args()
    main(arguments.millions, arguments.schedules)

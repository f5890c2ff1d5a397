"""Simulated sums over columns are what counting one person after the other gives."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np

from benchmarks.population import population
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES
from services.eligibility.determination import Determination
from services.eligibility.policy.parameters import PolicySet, shipped
from services.eligibility.schedules import Entitlement
from services.eligibility.simulation import Change, Sums, report, simulate, with_changes

AREA, PERIOD, PERSONS = "5301", Period(2026, 6), 3_000
BIRTH_YEARS = np.arange(PERSONS) % 90 + 1937


def _months(policy: PolicySet, period: Period) -> dict[tuple[int, str], Entitlement]:
    """What each person is paid by the area for one month, found one by one."""
    judged = Determination(population(PERSONS, 7), policy)
    return {
        (person, subsidy): entry
        for person in range(PERSONS)
        for subsidy in SUBSIDIES
        for entry in judged.schedule(person, subsidy).entitlements
        if entry.from_ <= period and (entry.to is None or period <= entry.to) and entry.area.startswith(AREA)
    }


def test_sums_groups_forecast_and_effects_are_those_of_counting_one_by_one() -> None:
    before = shipped()
    changes = [
        Change("care.levels", [1], AREA, date(2026, 1, 1)),
        Change("living.amount_fen", 12345, AREA, date(2026, 6, 1)),
    ]
    after = with_changes(before, changes)
    sums, effects = simulate(population(PERSONS, 7), BIRTH_YEARS, before, after, AREA, PERIOD)
    told = report(sums)
    held = [_months(policy, PERIOD) for policy in (before, after)]
    for side, name in enumerate(("before", "after")):
        fen = sum(entry.amount_fen for entry in held[side].values())
        assert told[name] == {"persons": len({person for person, _ in held[side]}), "amount_fen": fen}
        groups = Counter((s, entry.area, str(entry.level), str(entry.category)) for (_, s), entry in held[side].items())
        assert {key: counts[2 * side] for key, counts in sums.groups.items() if counts[2 * side]} == groups
        for month in (0, 5, 11):
            later = _months((before, after)[side], PERIOD.plus(month))
            for subsidy in SUBSIDIES:
                fen = sum(entry.amount_fen for (_, s), entry in later.items() if s == subsidy)
                assert sums.months[str(PERIOD.plus(month)), subsidy][2 * side + 1] == fen
        for age, year in ((18, 2026), (18, 2027), (80, 2026)):
            turning = [s for person, s in held[side] if BIRTH_YEARS[person] == year - age]
            for subsidy in SUBSIDIES:
                assert sums.ages[age, year, subsidy][2 * side] == turning.count(subsidy)
    differ = {
        key: tuple(side[key].amount_fen if key in side else 0 for side in held)
        for key in {*held[0], *held[1]}
        if (held[0][key].amount_fen if key in held[0] else 0) != (held[1][key].amount_fen if key in held[1] else 0)
    }
    assert {(e.person, e.subsidy): (e.before_fen, e.after_fen) for e in effects} == differ
    assert {told["gain"]["living"], told["lose"]["care"]} != {0}
    assert told["lose"]["living"] == 0


def test_nobody_comes_to_nothing() -> None:
    assert simulate(population(0, 1), BIRTH_YEARS[:0], shipped(), shipped(), AREA, PERIOD) == (Sums(), [])

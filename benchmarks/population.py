"""Persons by the million, as columns of facts: made up from a seed, with everything that happens to people in it."""

from __future__ import annotations

from datetime import date
from typing import get_args

import numpy as np

from libs.common.vocabulary import BenefitKind, CustodyKind, IncomeCategory
from services.eligibility.columns import (
    LAST_DAY,
    LIFE_EVENTS,
    NEVER,
    STATUSES,
    Applications,
    Certificates,
    FactColumns,
    Marks,
    Spans,
)
from services.eligibility.facts import BEGINNING
from services.eligibility.policy.eras import Ints, day_number

COUNTIES = [f"5301{county:02}{township:03}" for county in range(1, 11) for township in (1, 2)]
_TODAY = day_number(date(2026, 6, 1))
_DIBAO, _BORDERLINE, _TEKUN = (get_args(IncomeCategory).index(word) for word in ("dibao", "borderline", "tekun"))
_SERVING = get_args(CustodyKind).index("serving")
_LONG_AGO = day_number(BEGINNING)
_VALID, _FROZEN, _CANCELLED, _MOVED = (STATUSES.index(w) for w in ("valid", "frozen", "cancelled", "moved_out"))


def population(persons: int, seed: int) -> FactColumns:
    """So many persons: the same for the same seed."""
    chance = np.random.default_rng(seed)

    def some(share: float) -> Ints:
        return np.flatnonzero(chance.random(persons) < share)

    def recently(count: int, days: int = 900) -> Ints:
        return _TODAY - chance.integers(0, days, count)

    residences, transfers = _homes(chance, persons)
    return FactColumns(
        persons=persons,
        areas=COUNTIES,
        applications=_applications(chance, persons),
        certificates=_certificates(chance, persons),
        low_income=_spans(
            (first := some(0.55), chance.integers(-6000, -1200, len(first)) + _TODAY, None, _DIBAO),
            (poor := some(0.08), recently(len(poor)), recently(len(poor)) + 600, _DIBAO),
            (near := some(0.1), recently(len(near)), None, _BORDERLINE),
            (tekun := some(0.02), recently(len(tekun)), None, _TEKUN),
        ),
        residences=residences,
        transfers=transfers,
        benefits=_spans(
            *(
                (got := some(share), recently(len(got)), recently(len(got)) + 700, get_args(BenefitKind).index(kind))
                for kind, share in (("old_age", 0.1), ("elderly_care", 0.03), ("orphan", 0.01), ("other_living", 0.01))
            )
        ),
        custody=_spans(
            (
                held := some(0.005),
                recently(len(held)),
                recently(len(held)) + 500,
                get_args(CustodyKind).index("serving"),
            )
        ),
        life=_marks(
            *(
                (met := some(share), recently(len(met), 500), LIFE_EVENTS.index(event))
                for event, share in (
                    ("died", 0.03),
                    ("missing", 0.003),
                    ("reappeared", 0.002),
                    ("declared_dead", 0.001),
                )
            )
        ),
        care_needs=_spans((seen := some(0.2), np.full(len(seen), _LONG_AGO), None, seen % 4 != 0)),
    )


def _applications(chance: np.random.Generator, persons: int) -> Applications:
    """Two thirds applied for living, half for care, a few of them twice."""
    rows = []
    for subsidy, share in ((0, 0.6), (0, 0.05), (1, 0.5), (1, 0.05)):
        person = np.flatnonzero(chance.random(persons) < share)
        applied_on = _TODAY - chance.integers(0, 2500, len(person))
        withdrawn_on = np.where(chance.random(len(person)) < 0.01, applied_on + 200, NEVER)
        rows.append(
            np.array([person, np.full_like(person, subsidy), applied_on, applied_on + 12, withdrawn_on], dtype=np.int64)
        )
    columns = np.concatenate(rows, axis=1)
    return Applications(*columns[:, np.lexsort((columns[2], columns[0]))])


def _certificates(chance: np.random.Generator, persons: int) -> Certificates:
    """One each; some lapse and are renewed, some are frozen, cancelled, or leave."""
    person = np.arange(persons)
    begin = _TODAY - chance.integers(500, 4500, persons)
    end = begin + 3652
    later = np.flatnonzero(chance.random(persons) < 0.12)
    status = chance.choice([_VALID, _FROZEN, _CANCELLED, _MOVED], len(later), p=[0.6, 0.15, 0.15, 0.1])
    changed_on = np.minimum(end[later] + chance.integers(-300, 200, len(later)), _TODAY)
    end[later] = np.minimum(end[later], changed_on - 1)
    category = chance.choice(7, persons, p=[0.12, 0.2, 0.02, 0.45, 0.08, 0.1, 0.03])
    level = chance.choice([1, 2, 3, 4], persons, p=[0.15, 0.25, 0.3, 0.3])
    columns = np.array(
        [
            np.append(person, later),
            np.append(begin, changed_on),
            np.append(end, np.where(status == _VALID, changed_on + 3652, LAST_DAY)),
            np.append(np.full(persons, _VALID), status),
            np.append(category, category[later]),
            np.append(level, np.maximum(level[later] - (later % 3 == 0), 1)),
        ],
        dtype=np.int64,
    )
    columns = columns[:, np.lexsort((columns[1], columns[0]))]
    return Certificates(Spans(*columns[:4]), columns[4], columns[5], 1 << (4 * columns[4] + columns[5] - 1))


def _homes(chance: np.random.Generator, persons: int) -> tuple[Spans, Marks]:
    """Where people live; a few move, and most of those are taken over."""
    area = chance.integers(0, len(COUNTIES), persons)
    movers = np.flatnonzero(chance.random(persons) < 0.03)
    moved_on, to = _TODAY - chance.integers(0, 900, len(movers)), chance.integers(0, len(COUNTIES), len(movers))
    end = np.full(persons, LAST_DAY)
    end[movers] = moved_on - 1
    columns = np.array(
        [
            np.append(np.arange(persons), movers),
            np.append(np.full(persons, _LONG_AGO), moved_on),
            np.append(end, np.full(len(movers), LAST_DAY)),
            np.append(area, to),
        ],
        dtype=np.int64,
    )
    accepted = chance.random(len(movers)) < 0.8
    residences = Spans(*columns[:, np.lexsort((columns[1], columns[0]))])
    return residences, Marks(movers[accepted], moved_on[accepted] + 5, to[accepted])


def _spans(*kinds: tuple[Ints, Ints, Ints | None, Ints | int]) -> Spans:
    """Of each kind: persons, first days, last days (None: open), value."""
    rows = [
        np.array([p, begin, np.full_like(p, LAST_DAY) if end is None else end, np.broadcast_to(value, p.shape)])
        for p, begin, end, value in kinds
    ]
    columns = np.concatenate(rows, axis=1).astype(np.int64)
    columns = columns[:, columns[2] >= columns[1]]
    return Spans(*columns[:, np.lexsort((columns[1], columns[0]))])


def _marks(*kinds: tuple[Ints, Ints, int]) -> Marks:
    columns = np.concatenate([np.array([p, on, np.full_like(p, value)]) for p, on, value in kinds], axis=1)
    return Marks(*columns[:, np.lexsort((columns[1], columns[0]))].astype(np.int64))

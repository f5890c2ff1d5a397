"""The facts of many persons as columns: one table per kind of fact, sorted by person, words as their positions.

Whatever holds facts (objects here, Arrow batches in `bulk/arrow.py`) becomes this first; from here on there is one way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

import numpy as np

from libs.common.period import Period
from libs.common.vocabulary import (
    CATEGORIES,
    SUBSIDIES,
    BenefitKind,
    CertificateStatus,
    CustodyKind,
    IncomeCategory,
    LifeEvent,
    Subsidy,
)
from services.eligibility.facts import Certificate, Facts
from services.eligibility.policy.eras import DISABILITY_BIT, Bools, Ints, day_number

LAST_DAY = day_number(date(9999, 12, 31))
LAST_MONTH = Period(9999, 12).index
FIRST_DAY = day_number(date.min)
NEVER = LAST_DAY + 1
"""The day of what has not happened."""

STATUSES: tuple[CertificateStatus, ...] = get_args(CertificateStatus)
LIFE_EVENTS: tuple[LifeEvent, ...] = get_args(LifeEvent)
_SUBSIDY = {word: code for code, word in enumerate(SUBSIDIES)}
_CATEGORY = {word: code for code, word in enumerate(CATEGORIES)}
_STATUS = {word: code for code, word in enumerate(STATUSES)}
_LIFE_EVENT = {word: code for code, word in enumerate(LIFE_EVENTS)}
_INCOME = {word: code for code, word in enumerate(get_args(IncomeCategory))}
_BENEFIT = {word: code for code, word in enumerate(get_args(BenefitKind))}
_CUSTODY = {word: code for code, word in enumerate(get_args(CustodyKind))}
_NOT_APPLIED = Period(1970, 1)
_PERSON_SHIFT = 22  # bits that hold every day from year 1 to 9999


@dataclass(frozen=True, slots=True)
class Spans:
    """Intervals in the order of person and first day. `person` is a position in the batch, days are day numbers, both
    included, `LAST_DAY` where open; `value` says what holds."""

    person: Ints
    begin: Ints
    end: Ints
    value: Ints


@dataclass(frozen=True, slots=True)
class Certificates:
    """Certificates as spans whose value is the status, and what is written on each; `disability` has one bit for each
    category and level, components included."""

    spans: Spans
    category: Ints
    level: Ints
    disability: Ints


@dataclass(frozen=True, slots=True)
class Applications:
    """Applications in the order of person and day. An undecided one is decided at the end of its month; `NEVER` stands
    in `withdrawn_on` of one that stands."""

    person: Ints
    subsidy: Ints
    applied_on: Ints
    decided_on: Ints
    withdrawn_on: Ints

    def where(self, which: Bools) -> Applications:
        """Those marked."""
        columns = (self.person, self.subsidy, self.applied_on, self.decided_on, self.withdrawn_on)
        return Applications(*(column[which] for column in columns))

    def for_subsidy(self, subsidy: Subsidy) -> Applications:
        return self.where(self.subsidy == _SUBSIDY[subsidy])


@dataclass(frozen=True, slots=True)
class Marks:
    """What happened on a day. `value` is the life event, or the position in `areas` of who accepted a transfer."""

    person: Ints
    on: Ints
    value: Ints


@dataclass(frozen=True, slots=True)
class FactColumns:
    """Everything known of `persons` persons. Areas are positions in `areas`."""

    persons: int
    areas: list[str]
    applications: Applications
    certificates: Certificates
    low_income: Spans
    residences: Spans
    transfers: Marks
    benefits: Spans
    custody: Spans
    life: Marks
    care_needs: Spans

    def first_days(self, since: Period | None = None) -> Ints:
        """Per person the first day that matters: the first of the month of the first application, or of `since` if that
        is earlier or there is none."""
        default = since or _NOT_APPLIED
        first = np.full(self.persons, NEVER, dtype=np.int64)
        np.minimum.at(first, self.applications.person, self.applications.applied_on)
        first = np.where(first == NEVER, day_number(default.first_day), first_days_of(months_of(first)))
        return first if since is None else np.minimum(first, day_number(since.first_day))


def months_of(number: Ints) -> Ints:
    """`Period.index` of the month that each day lies in."""
    return number.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12


def first_days_of(month: Ints) -> Ints:
    """The first day of each month, as day numbers."""
    return (month - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def keys(person: Ints, number: Ints) -> Ints:
    """Person and day in one sortable number."""
    return (person << _PERSON_SHIFT) + (number - FIRST_DAY)


def parts_of(key: Ints) -> tuple[Ints, Ints]:
    """Person and day of each key."""
    return key >> _PERSON_SHIFT, (key & ((1 << _PERSON_SHIFT) - 1)) + FIRST_DAY


def columns_of(persons: Sequence[Facts]) -> FactColumns:
    """The columns of facts that are objects."""
    area_code: dict[str, int] = {}

    def code(area: str) -> int:
        return area_code.setdefault(area, len(area_code))

    known = list(enumerate(persons))
    return FactColumns(
        persons=len(persons),
        applications=Applications(
            *_sorted(
                (
                    p,
                    _SUBSIDY[a.subsidy],
                    day_number(a.applied_on),
                    day_number(a.decided_on or Period.of(a.applied_on).last_day),
                    NEVER if a.withdrawn_on is None else day_number(a.withdrawn_on),
                )
                for p, facts in known
                for a in facts.applications
            )
        ),
        certificates=_certificates(known),
        low_income=_spans((p, i, _INCOME[i.category]) for p, facts in known for i in facts.low_income),
        residences=_spans((p, r, code(r.area)) for p, facts in known for r in facts.residences),
        transfers=Marks(
            *_table(((p, day_number(t.accepted_on), code(t.area)) for p, f in known for t in f.transfers), 3)
        ),
        benefits=_spans((p, b, _BENEFIT[b.kind]) for p, facts in known for b in facts.benefits),
        custody=_spans((p, c, _CUSTODY[c.kind]) for p, facts in known for c in facts.custody),
        life=Marks(*_table(((p, day_number(e.on), _LIFE_EVENT[e.event]) for p, f in known for e in f.life), 3)),
        care_needs=_spans((p, n, int(n.needed)) for p, facts in known for n in facts.care_needs),
        areas=list(area_code),
    )


def _certificates(known: list[tuple[int, Facts]]) -> Certificates:
    person, begin, end, status, category, level, disability = _table(
        (
            (p, *_days(c), _STATUS[c.status], _CATEGORY[c.category], c.level, _disability_bits(c))
            for p, facts in known
            for c in sorted(facts.certificates, key=lambda c: c.from_)
        ),
        7,
    )
    return Certificates(Spans(person, begin, end, status), category, level, disability)


def _disability_bits(certificate: Certificate) -> int:
    bits = DISABILITY_BIT[certificate.category, certificate.level]
    for component in certificate.components:
        bits |= DISABILITY_BIT[component]
    return bits


def _days(interval: Any) -> tuple[int, int]:
    return day_number(interval.from_), LAST_DAY if interval.to is None else day_number(interval.to)


def _spans(rows: Iterable[tuple[int, Any, int]]) -> Spans:
    found = [(person, *_days(interval), value) for person, interval, value in rows]
    found.sort(key=lambda row: row[:2])
    return Spans(*_table(found, 4))


def _sorted(rows: Iterable[tuple[int, ...]]) -> list[Ints]:
    """Applications by person and day; of one day in the order given."""
    return _table(sorted(rows, key=lambda row: (row[0], row[2])), 5)


def _table(rows: Iterable[tuple[int, ...]], width: int) -> list[Ints]:
    """Rows as columns."""
    return list(np.ascontiguousarray(np.array(list(rows), dtype=np.int64).reshape(-1, width).T))

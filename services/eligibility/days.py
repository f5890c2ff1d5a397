"""Facts as columns: one row per person and day on which something may change.

Between two such days nothing changes, so a row stands for every day up to the next one. Rows also begin with each month
that has a change in it and with the month after: a row lies within one month, or covers whole months that are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from libs.common.period import Period
from libs.common.vocabulary import CATEGORIES, CertificateStatus
from services.eligibility.facts import Certificate, Facts, Life, Residence, Transfer
from services.eligibility.policy.eras import (
    BENEFIT_BIT,
    CUSTODY_BIT,
    DISABILITY_BIT,
    INCOME_BIT,
    Bools,
    Eras,
    Ints,
    day_number,
)

LAST_DAY = day_number(date(9999, 12, 31))
LAST_MONTH = Period(9999, 12).index
STATUS: dict[CertificateStatus, int] = {
    "valid": 0, "in_transit": 1, "expired": 2, "frozen": 3, "moved_out": 4, "cancelled": 5,
}  # fmt: skip
NO_CERTIFICATE = -1
UNASSESSED = -1

_FIRST_DAY = day_number(date.min)
_PERSON_SHIFT = 22  # bits that hold every day from year 1 to 9999
_COUNTY_DIGITS = 6
_PROVINCE_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Days:
    """Columns over rows (sorted by person, then day), and the runs of alike months that rows make.

    Row `i` holds for the days `number[i]` to `last[i]`. `residence` is a position in `areas` and `stays`, -1 for none.
    `stays` counts the counties that a person lived in; `continues[p][k]`: the county of stay k took the person over.
    Run `r` begins with row `run_row[r]` and holds the months `run_first[r]` to `run_last[r]`, alike throughout.
    """

    eras: Eras
    person: Ints
    number: Ints
    last: Ints
    month: Ints
    era: Ints
    alive: Bools
    missing: Bools
    custody: Ints
    income: Ints
    benefits: Ints
    residence: Ints
    status: Ints
    level: Ints
    category: Ints
    disability: Ints
    care_need: Ints
    areas: list[str]
    stays: Ints
    continues: list[list[bool]]
    run_row: Ints
    run_first: Ints
    run_last: Ints
    runs_of: Ints
    """The runs of person p are `runs_of[p]` to `runs_of[p + 1]`."""
    run_of_row: Ints

    def row_at(self, person: Ints, number: Ints) -> Ints:
        """For each person and day the first row that begins on that day or later, of this or a later person."""
        return np.searchsorted(_keys(self.person, self.number), _keys(person, number))

    def run_at(self, person: int, month: int) -> int:
        """The run of one person that a month (Period.index) lies in. ValueError before the months looked at."""
        low, high = int(self.runs_of[person]), int(self.runs_of[person + 1])
        position = int(np.searchsorted(self.run_first[low:high], month, side="right"))
        if position == 0:
            raise ValueError(f"{Period.from_index(month)} lies before the months looked at")
        return low + position - 1

    def rows_of(self, run: int) -> slice:
        """The rows of one run."""
        end = int(self.run_row[run + 1]) if run + 1 < len(self.run_row) else len(self.person)
        return slice(int(self.run_row[run]), end)


def months_of(number: Ints) -> Ints:
    """`Period.index` of the month that each day lies in."""
    return number.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12


def first_days_of(month: Ints) -> Ints:
    """The first day of each month, as day numbers."""
    return (month - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def spread(persons: Sequence[Facts], since: Sequence[Period], eras: Eras) -> Days:
    """The rows of each person from the first day of the month `since` on, for ever."""
    table = _Tables(eras)
    for position, (facts, period) in enumerate(zip(persons, since, strict=True)):
        table.add(position, facts, day_number(period.first_day))
    person, number = _rows(np.array(table.changes, dtype=np.int64).reshape(-1, 2))
    row_of = _RowFinder(_keys(person, number))

    last = np.append(number[1:] - 1, LAST_DAY)
    last[np.append(person[1:] != person[:-1], True)] = LAST_DAY
    month = months_of(number)
    run_row = np.flatnonzero(np.append(True, (month[1:] != month[:-1]) | (person[1:] != person[:-1])))
    run_last = months_of(last)[np.append(run_row[1:] - 1, len(number) - 1)]

    residence = row_of.latest(table.residences, np.arange(len(table.residences)))
    stays = np.array(table.stays, dtype=np.int64)
    status, certificate = _certificates(row_of, table)
    era = _era_of_rows(eras, table.areas, residence, number)
    if table.gap_months:
        status, certificate = _fill_gaps(row_of, table, eras, era, month, status, certificate)
    of_certificate = np.array([*table.certificate_values, (0, 0, 0)], dtype=np.int64)[certificate]
    return Days(
        eras=eras,
        person=person,
        number=number,
        last=last,
        month=month,
        era=era,
        alive=number <= np.array(table.last_alive, dtype=np.int64)[person],
        missing=row_of.union(table.missing, [1] * len(table.missing)) != 0,
        custody=row_of.union(table.custody, table.custody_bits),
        income=row_of.union(table.income, table.income_bits),
        benefits=row_of.union(table.benefits, table.benefit_bits),
        residence=residence,
        status=status,
        level=of_certificate[:, 0],
        category=of_certificate[:, 1],
        disability=of_certificate[:, 2],
        care_need=row_of.latest(table.care, np.array(table.care_values, dtype=np.int64)),
        areas=table.areas,
        stays=stays,
        continues=table.continues,
        run_row=run_row,
        run_first=month[run_row],
        run_last=run_last,
        runs_of=np.searchsorted(person[run_row], np.arange(len(persons) + 1)),
        run_of_row=np.repeat(np.arange(len(run_row)), np.diff(run_row, append=len(number))),
    )


Interval = tuple[int, int, int]
"""Person, first day, last day."""


class _Tables:
    """The facts of all persons, one list per kind, and every day on which one of them begins to hold or to fail."""

    def __init__(self, eras: Eras) -> None:
        self._eras = eras
        self.gap_months = int(max(eras.expired_gap_months.max(), eras.frozen_gap_months.max()))
        self.changes: list[tuple[int, int]] = []
        self.last_alive: list[int] = []
        self.missing: list[Interval] = []
        self.custody: list[Interval] = []
        self.custody_bits: list[int] = []
        self.income: list[Interval] = []
        self.income_bits: list[int] = []
        self.benefits: list[Interval] = []
        self.benefit_bits: list[int] = []
        self.care: list[Interval] = []
        self.care_values: list[int] = []
        self.certificates: list[Interval] = []
        self.certificate_status: list[int] = []
        self.certificate_values: list[tuple[int, int, int]] = []
        self.residences: list[Interval] = []
        self.areas: list[str] = []
        self.stays: list[int] = []
        self.continues: list[list[bool]] = []

    def add(self, person: int, facts: Facts, first: int) -> None:
        changes = {first}

        def interval(from_: date, to: date | None) -> Interval:
            begin = day_number(from_)
            end = LAST_DAY if to is None else day_number(to)
            if begin > first:
                changes.add(begin)
            if first <= end < LAST_DAY:
                changes.add(end + 1)
            return person, begin, end

        for application in facts.applications:
            for day in (application.applied_on, application.withdrawn_on):
                if day is not None and day_number(day) > first:
                    changes.add(day_number(day))
        for certificate in sorted(facts.certificates, key=_begin):
            self.certificates.append(interval(certificate.from_, certificate.to))
            self.certificate_status.append(_status(certificate, facts.transfers))
            self.certificate_values.append(
                (certificate.level, CATEGORIES.index(certificate.category), _disability_bits(certificate))
            )
            changes.update(self._months_before(day_number(certificate.from_), first))
        for income in facts.low_income:
            self.income.append(interval(income.from_, income.to))
            self.income_bits.append(INCOME_BIT[income.category])
        for benefit in facts.benefits:
            self.benefits.append(interval(benefit.from_, benefit.to))
            self.benefit_bits.append(BENEFIT_BIT[benefit.kind])
        for custody in facts.custody:
            self.custody.append(interval(custody.from_, custody.to))
            self.custody_bits.append(CUSTODY_BIT[custody.kind])
        for need in sorted(facts.care_needs, key=_begin):
            self.care.append(interval(need.from_, need.to))
            self.care_values.append(int(need.needed))
        died_on, missing = read_life(facts.life)
        self.last_alive.append(interval(date.min, died_on)[2])
        self.missing.extend(interval(*absence) for absence in missing)
        residences = sorted(facts.residences, key=_begin)
        for residence in residences:
            self.residences.append(interval(residence.from_, residence.to))
            self.areas.append(residence.area)
            starts = self._eras.starts[self._eras.policy.chain(residence.area)]
            changes.update(starts[starts > first].tolist())
        stays, continues = _stays(residences, facts.transfers, self._eras)
        self.stays.extend(stays)
        self.continues.append(continues)
        self.changes.extend((person, day) for day in changes)

    def _months_before(self, begin: int, first: int) -> list[int]:
        if not self.gap_months:
            return []
        month = months_of(np.array([begin])) - np.arange(self.gap_months + 1)
        return [day for day in first_days_of(month).tolist() if day > first]


def _begin(fact: object) -> date:
    begin: date = fact.from_  # type: ignore[attr-defined]  # every interval has one
    return begin


def _status(certificate: Certificate, transfers: tuple[Transfer, ...]) -> int:
    """A certificate that left for a county that took its holder over is on its way, not gone."""
    status = certificate.status
    if status == "moved_out" and any(t.accepted_on >= certificate.from_.replace(day=1) for t in transfers):
        status = "in_transit"
    return STATUS[status]


def _disability_bits(certificate: Certificate) -> int:
    bits = DISABILITY_BIT[certificate.category, certificate.level]
    for component in certificate.components:
        bits |= DISABILITY_BIT[component]
    return bits


def read_life(events: tuple[Life, ...]) -> tuple[date | None, list[tuple[date, date | None]]]:
    """The day of death, and the times of being missing. Reappearing annuls an earlier declaration of death, as if it
    had never been, and ends a time of being missing on the day before."""
    returns = [event.on for event in events if event.event == "reappeared"]
    last_return = max(returns, default=date.min)
    deaths = [
        event.on
        for event in events
        if event.event == "died" or (event.event == "declared_dead" and event.on > last_return)
    ]
    missing: list[tuple[date, date | None]] = []
    for event in events:
        if event.event in ("missing", "declared_missing"):
            back = min((on for on in returns if on >= event.on), default=None)
            if back is None:
                missing.append((event.on, None))
            elif back > event.on:
                missing.append((event.on, date.fromordinal(back.toordinal() - 1)))
    return min(deaths, default=None), missing


def _stays(residences: list[Residence], transfers: tuple[Transfer, ...], eras: Eras) -> tuple[list[int], list[bool]]:
    """For each residence the number of its stay (moves within a county change nothing), and for each stay whether its
    county took the person over: accepted while the stay before it or the stay itself lasted."""
    stays: list[int] = []
    counties: list[tuple[str, date]] = []
    for residence in residences:
        county = residence.area[:_COUNTY_DIGITS]
        if not counties or counties[-1][0] != county:
            counties.append((county, residence.from_))
        stays.append(len(counties) - 1)
    continues = [True]
    for number, (county, since) in enumerate(counties[1:], start=1):
        before, left_on = counties[number - 1]
        until = counties[number + 1][1] if number + 1 < len(counties) else date.max
        accepted = any(t.area[:_COUNTY_DIGITS] == county and left_on <= t.accepted_on < until for t in transfers)
        if not accepted and before[:_PROVINCE_DIGITS] == county[:_PROVINCE_DIGITS]:
            era = eras.of(eras.policy.chain(county), np.array([day_number(since)]))
            accepted = bool(eras.moves_continue[era][0])
        continues.append(accepted)
    return stays, continues


def _keys(person: Ints, number: Ints) -> Ints:
    """Person and day in one sortable number."""
    return (person << _PERSON_SHIFT) + (number - _FIRST_DAY)


def _rows(changes: Ints) -> tuple[Ints, Ints]:
    """Person and day of each row: every change, the first of its month and the first of the next, once each."""
    person, number = changes[:, 0], changes[:, 1]
    month = months_of(number)
    days = np.concatenate([number, first_days_of(month), first_days_of(np.minimum(month + 1, LAST_MONTH))])
    key = _keys(np.tile(person, 3), days)
    key.sort()
    key = key[np.append(True, key[1:] != key[:-1])]
    return key >> _PERSON_SHIFT, (key & ((1 << _PERSON_SHIFT) - 1)) + _FIRST_DAY


class _RowFinder:
    """Lays intervals over rows. Every interval begins and ends where a row does, or before a person's first row."""

    def __init__(self, key: Ints) -> None:
        self._key = key

    def _covered(self, intervals: list[Interval]) -> tuple[Ints, Ints]:
        """For each row that an interval covers the interval's and the row's position, by interval."""
        person, begin, end = np.array(intervals, dtype=np.int64).reshape(-1, 3).T
        low = np.searchsorted(self._key, _keys(person, begin))
        high = np.searchsorted(self._key, _keys(person, end), side="right")
        count = np.maximum(high - low, 0)
        interval = np.repeat(np.arange(len(intervals)), count)
        row = np.arange(len(interval)) + np.repeat(low - (np.cumsum(count) - count), count)
        return interval, row

    def latest(self, intervals: list[Interval], values: Ints) -> Ints:
        """Per row the value of the last listed interval that covers it, -1 where none does."""
        found = np.full(len(self._key), -1, dtype=np.int64)
        if intervals:
            interval, row = self._covered(intervals)
            found[row] = values[interval]
        return found

    def union(self, intervals: list[Interval], bits: list[int]) -> Ints:
        """Per row the bits of all intervals that cover it."""
        found = np.zeros(len(self._key), dtype=np.int64)
        if intervals:
            interval, row = self._covered(intervals)
            np.bitwise_or.at(found, row, np.array(bits, dtype=np.int64)[interval])
        return found


def _certificates(row_of: _RowFinder, table: _Tables) -> tuple[Ints, Ints]:
    """Status and position of each row's certificate. After a certificate's last day it is expired, and its level still
    tells who is meant; what was cancelled or frozen stays so."""
    positions = np.arange(len(table.certificates))
    in_force = row_of.latest(table.certificates, positions)
    begun = row_of.latest([(person, begin, LAST_DAY) for person, begin, _ in table.certificates], positions)
    of_position = np.array([*table.certificate_status, NO_CERTIFICATE], dtype=np.int64)
    lapsed = of_position[begun]
    lapsed[lapsed == STATUS["valid"]] = STATUS["expired"]
    return np.where(in_force >= 0, of_position[in_force], lapsed), np.where(in_force >= 0, in_force, begun)


def _fill_gaps(
    row_of: _RowFinder, table: _Tables, eras: Eras, era: Ints, month: Ints, status: Ints, certificate: Ints
) -> tuple[Ints, Ints]:
    """Where the area pays the gap before a renewal (at most so many months), the new certificate counts in it."""
    valid = [i for i, state in enumerate(table.certificate_status) if state == STATUS["valid"]][::-1]
    before = [(table.certificates[i][0], _FIRST_DAY, table.certificates[i][1] - 1) for i in valid]
    renewal = row_of.latest(before, np.array(valid, dtype=np.int64))
    begin = np.array([*(begin for _, begin, _ in table.certificates), LAST_DAY], dtype=np.int64)
    wait = months_of(begin)[renewal] - month
    allowed = np.select(
        [status == STATUS["expired"], status == STATUS["frozen"]],
        [eras.expired_gap_months[era], eras.frozen_gap_months[era]],
        default=-1,
    )
    filled = (renewal >= 0) & (allowed > 0) & (wait <= allowed)
    return np.where(filled, STATUS["valid"], status), np.where(filled, renewal, certificate)


def _era_of_rows(eras: Eras, areas: list[str], residence: Ints, number: Ints) -> Ints:
    chains = [eras.policy.chain(area) for area in areas] + [eras.policy.chain("")]
    known = {chain: position for position, chain in enumerate(dict.fromkeys(chains))}
    chain_of_row = np.array([known[chain] for chain in chains], dtype=np.int64)[residence]
    era = np.empty(len(number), dtype=np.int64)
    for chain, position in known.items():
        rows = chain_of_row == position
        era[rows] = eras.of(chain, number[rows])
    return era

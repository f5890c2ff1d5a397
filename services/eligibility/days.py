"""Facts as columns: one row per person and day on which something may change.

Between two such days nothing changes, so a row stands for every day up to the next one. Rows also begin with each month
that has a change in it and with the month after: a row lies within one month, or covers whole months that are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from libs.common.period import Period
from libs.common.vocabulary import CertificateStatus
from services.eligibility.columns import (
    FIRST_DAY,
    LAST_DAY,
    LAST_MONTH,
    LIFE_EVENTS,
    NEVER,
    STATUSES,
    FactColumns,
    Marks,
    Spans,
    first_days_of,
    keys,
    months_of,
    parts_of,
)
from services.eligibility.policy.eras import Bools, Eras, Ints

STATUS: dict[CertificateStatus, int] = {
    "valid": 0, "in_transit": 1, "expired": 2, "frozen": 3, "moved_out": 4, "cancelled": 5,
}  # fmt: skip
NO_CERTIFICATE = -1
UNASSESSED = -1
NO_STAY = -1

_STATUS_OF_CODE = np.array([STATUS[word] for word in STATUSES], dtype=np.int64)
_COUNTY_DIGITS = 6
_PROVINCE_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Days:
    """Columns over rows (sorted by person, then day), and the runs of alike months that rows make.

    Row `i` holds for the days `number[i]` to `last[i]`. `residence` is a position in `areas`, -1 for none. A stay is
    the time of one person in one county, numbered over the whole batch; `stay_broken[k]` is the first stay from k on
    whose county did not take the person over.
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
    stay: Ints
    status: Ints
    level: Ints
    category: Ints
    disability: Ints
    care_need: Ints
    areas: list[str]
    stay_broken: Ints
    run_row: Ints
    run_first: Ints
    run_last: Ints
    runs_of: Ints
    """The runs of person p are `runs_of[p]` to `runs_of[p + 1]`."""
    run_of_row: Ints

    def row_at(self, person: Ints, number: Ints) -> Ints:
        """For each person and day the first row that begins on that day or later, of this or a later person."""
        return np.searchsorted(keys(self.person, self.number), keys(person, number))

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


def spread(facts: FactColumns, first: Ints, eras: Eras) -> Days:
    """The rows of each person from the day `first` on (the first of a month), for ever."""
    last_alive, missing = read_life(facts.life, facts.persons)
    person, number = parts_of(_rows(_changes(facts, first, eras, last_alive, missing)))
    rows = _Rows(keys(person, number))

    last = np.append(number[1:] - 1, LAST_DAY)
    last[np.append(person[1:] != person[:-1], True)] = LAST_DAY
    month = months_of(number)
    run_row = np.flatnonzero(np.append(True, (month[1:] != month[:-1]) | (person[1:] != person[:-1])))
    run_last = months_of(last)[np.append(run_row[1:] - 1, len(number) - 1)]

    residence = rows.latest(facts.residences)
    stays, stay_broken = _stays(facts, eras)
    area = np.append(facts.residences.value, -1)[residence]
    era = _era_of_rows(eras, facts.areas, area, number)
    status, certificate = _certificates(rows, facts)
    if _gap_months(eras):
        status, certificate = _fill_gaps(rows, facts, eras, era, month, status, certificate)
    return Days(
        eras=eras,
        person=person,
        number=number,
        last=last,
        month=month,
        era=era,
        alive=number <= last_alive[person],
        missing=rows.latest(missing) >= 0,
        custody=rows.union(facts.custody),
        income=rows.union(facts.low_income),
        benefits=rows.union(facts.benefits),
        residence=area,
        stay=np.append(stays, NO_STAY)[residence],
        status=status,
        level=np.append(facts.certificates.level, 0)[certificate],
        category=np.append(facts.certificates.category, 0)[certificate],
        disability=np.append(facts.certificates.disability, 0)[certificate],
        care_need=np.append(facts.care_needs.value, UNASSESSED)[rows.latest(facts.care_needs)],
        areas=facts.areas,
        stay_broken=stay_broken,
        run_row=run_row,
        run_first=month[run_row],
        run_last=run_last,
        runs_of=np.searchsorted(person[run_row], np.arange(facts.persons + 1)),
        run_of_row=np.repeat(np.arange(len(run_row)), np.diff(run_row, append=len(number))),
    )


def read_life(life: Marks, persons: int) -> tuple[Ints, Spans]:
    """Per person the last day alive, and the times of being missing. Reappearing annuls an earlier declaration of
    death, as if it had never been, and ends a time of being missing on the day before."""
    reappeared, died, declared_dead, missing, declared_missing = (
        life.value == LIFE_EVENTS.index(event)
        for event in ("reappeared", "died", "declared_dead", "missing", "declared_missing")
    )
    last_return = np.full(persons, FIRST_DAY, dtype=np.int64)
    np.maximum.at(last_return, life.person[reappeared], life.on[reappeared])
    dead = died | (declared_dead & (life.on > last_return[life.person]))
    last_alive = np.full(persons, LAST_DAY, dtype=np.int64)
    np.minimum.at(last_alive, life.person[dead], life.on[dead])

    gone = missing | declared_missing
    person, begin = life.person[gone], life.on[gone]
    returns = np.sort(keys(life.person[reappeared], life.on[reappeared]))
    back_person, back_on = parts_of(np.append(returns, keys(np.array([persons]), np.array([LAST_DAY]))))
    position = np.searchsorted(returns, keys(person, begin))
    end = np.where(back_person[position] == person, back_on[position] - 1, LAST_DAY)
    return last_alive, Spans(person, begin, end, np.ones_like(person))


def _changes(facts: FactColumns, first: Ints, eras: Eras, last_alive: Ints, missing: Spans) -> Ints:
    """The keys of every day after each person's first one on which a fact or a policy begins to hold or to fail."""
    found = [keys(np.arange(facts.persons), first)]

    def note(person: Ints, number: Ints) -> None:
        matters = (number > first[person]) & (number <= LAST_DAY)
        found.append(keys(person[matters], number[matters]))

    certificates = facts.certificates.spans
    held = (certificates, facts.low_income, facts.benefits, facts.custody, facts.care_needs, facts.residences, missing)
    for spans in held:
        note(spans.person, spans.begin)
        note(spans.person, spans.end + 1)
    note(np.arange(facts.persons), last_alive + 1)
    note(facts.applications.person, facts.applications.applied_on)
    note(facts.applications.person, facts.applications.withdrawn_on)
    if gap_months := _gap_months(eras):
        renewed = months_of(certificates.begin)
        for months in range(gap_months + 1):
            note(certificates.person, first_days_of(renewed - months))
    residences = facts.residences
    for chain, in_chain in _by_chain(eras, facts.areas):
        person = residences.person[in_chain[residences.value]]
        for start in eras.starts[chain][1:].tolist():  # the first is the beginning of time
            note(person, np.full(len(person), start))
    return np.concatenate(found)


def _rows(changes: Ints) -> Ints:
    """The key of each row: every change, the first of its month and the first of the next, once each."""
    person, number = parts_of(changes)
    month = months_of(number)
    begins = (first_days_of(month), first_days_of(np.minimum(month + 1, LAST_MONTH)))
    key = np.concatenate([changes, *(keys(person, begin) for begin in begins)])
    key.sort()
    distinct: Ints = key[np.append(True, key[1:] != key[:-1])]
    return distinct


class _Rows:
    """Lays spans over rows. Every span begins and ends where a row does, or before a person's first row."""

    def __init__(self, key: Ints) -> None:
        self._key = key

    def __len__(self) -> int:
        return len(self._key)

    def _covered(self, person: Ints, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
        """For each row that a span covers the span's and the row's position, by span."""
        low = np.searchsorted(self._key, keys(person, begin))
        high = np.searchsorted(self._key, keys(person, end), side="right")
        count = np.maximum(high - low, 0)
        span = np.repeat(np.arange(len(person)), count)
        row = np.arange(len(span)) + np.repeat(low - (np.cumsum(count) - count), count)
        return span, row

    def latest(self, spans: Spans) -> Ints:
        """Per row the position of the last listed span that covers it, -1 where none does."""
        found = np.full(len(self._key), -1, dtype=np.int64)
        if len(spans.person):
            span, row = self._covered(spans.person, spans.begin, spans.end)
            found[row] = span
        return found

    def union(self, spans: Spans) -> Ints:
        """Per row one bit for each value that a span over it has."""
        found = np.zeros(len(self._key), dtype=np.int64)
        if len(spans.person):
            span, row = self._covered(spans.person, spans.begin, spans.end)
            np.bitwise_or.at(found, row, 1 << spans.value[span])
        return found


def _certificates(rows: _Rows, facts: FactColumns) -> tuple[Ints, Ints]:
    """Status and position of each row's certificate. After a certificate's last day it is expired, and its level still
    tells who is meant; what was cancelled or frozen stays so."""
    spans = facts.certificates.spans
    in_force = rows.latest(spans)
    begun = rows.latest(Spans(spans.person, spans.begin, np.full_like(spans.end, LAST_DAY), spans.value))
    status = np.append(_status(facts), NO_CERTIFICATE)
    lapsed = status[begun]
    lapsed[lapsed == STATUS["valid"]] = STATUS["expired"]
    return np.where(in_force >= 0, status[in_force], lapsed), np.where(in_force >= 0, in_force, begun)


def _status(facts: FactColumns) -> Ints:
    """A certificate that left for a county that took its holder over is on its way, not gone."""
    spans = facts.certificates.spans
    accepted_on = np.full(facts.persons, FIRST_DAY, dtype=np.int64)
    np.maximum.at(accepted_on, facts.transfers.person, facts.transfers.on)
    status = _STATUS_OF_CODE[spans.value]
    taken_over = accepted_on[spans.person] >= first_days_of(months_of(spans.begin))
    return np.where((status == STATUS["moved_out"]) & taken_over, STATUS["in_transit"], status)


def _gap_months(eras: Eras) -> int:
    return int(max(eras.expired_gap_months.max(), eras.frozen_gap_months.max()))


def _fill_gaps(
    rows: _Rows, facts: FactColumns, eras: Eras, era: Ints, month: Ints, status: Ints, certificate: Ints
) -> tuple[Ints, Ints]:
    """Where the area pays the gap before a renewal (at most so many months), the new certificate counts in it."""
    spans = facts.certificates.spans
    valid = np.flatnonzero(_status(facts) == STATUS["valid"])[::-1]  # the next one prevails
    before = Spans(spans.person[valid], np.full(len(valid), FIRST_DAY), spans.begin[valid] - 1, valid)
    renewal = np.append(valid, -1)[rows.latest(before)]
    wait = months_of(np.append(spans.begin, LAST_DAY))[renewal] - month
    allowed = np.select(
        [status == STATUS["expired"], status == STATUS["frozen"]],
        [eras.expired_gap_months[era], eras.frozen_gap_months[era]],
        default=-1,
    )
    filled = (renewal >= 0) & (allowed > 0) & (wait <= allowed)
    return np.where(filled, STATUS["valid"], status), np.where(filled, renewal, certificate)


def _stays(facts: FactColumns, eras: Eras) -> tuple[Ints, Ints]:
    """For each residence its stay (moves within a county change nothing), and per stay the first one from it on that
    its county did not accept: while the stay before it or the stay itself lasted."""
    residences, counties = facts.residences, [area[:_COUNTY_DIGITS] for area in facts.areas]
    county_of_area, county_codes = _codes(counties)
    county = county_of_area[residences.value]
    person = residences.person
    begins = np.append(True, (person[1:] != person[:-1]) | (county[1:] != county[:-1]))[: len(person)]
    stays, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
    person, county, since = person[first], county[first], residences.begin[first]
    moved = np.append(False, person[1:] == person[:-1])[: len(person)]
    until = np.append(np.where(person[1:] == person[:-1], since[1:], NEVER), NEVER)[: len(person)]
    left_on = np.append(FIRST_DAY, since[:-1])[: len(person)]

    accepted = np.zeros(len(person), dtype=bool)
    transfers = facts.transfers
    low, high = np.searchsorted(person, transfers.person), np.searchsorted(person, transfers.person, side="right")
    transfer = np.repeat(np.arange(len(low)), high - low)
    stay = np.arange(len(transfer)) + np.repeat(low - (np.cumsum(high - low) - (high - low)), high - low)
    on = transfers.on[transfer]
    fits = (county_of_area[transfers.value[transfer]] == county[stay]) & (left_on[stay] <= on) & (on < until[stay])
    accepted[stay[fits]] = True

    province, _ = _codes([code[:_PROVINCE_DIGITS] for code in county_codes])
    within = moved & (province[county] == np.append(-1, province[county][:-1])[: len(county)])
    if within.any() and eras.moves_continue.any():
        era = _era_of_rows(eras, county_codes, county, since)
        accepted |= within & eras.moves_continue[era]
    broken = np.where(~(moved & accepted), np.arange(len(person)), len(person))
    return stays, np.append(np.minimum.accumulate(broken[::-1])[::-1], len(person))


def _codes(words: list[str]) -> tuple[Ints, list[str]]:
    """Each word's position among the distinct ones, and these."""
    distinct = {word: code for code, word in enumerate(dict.fromkeys(words))}
    return np.array([distinct[word] for word in words], dtype=np.int64), list(distinct)


def _by_chain(eras: Eras, areas: list[str]) -> list[tuple[tuple[str, ...], Bools]]:
    """Each chain of layers that speaks to some of the areas, with which of them."""
    code: dict[tuple[str, ...], int] = {}
    chains = []
    for area in areas:
        chain = eras.policy.chain(area)
        chains.append(code.setdefault(chain, len(code)))
    of_area = np.array(chains, dtype=np.int64)
    return [(chain, of_area == position) for chain, position in code.items()]


def _era_of_rows(eras: Eras, areas: list[str], area: Ints, number: Ints) -> Ints:
    """The era of each area and day; where there is no area, that of the nation."""
    listed = _by_chain(eras, [*areas, ""])  # the last one is what -1 finds
    if len(listed) == 1:
        return eras.of(listed[0][0], number)
    era = np.empty(len(number), dtype=np.int64)
    for chain, in_chain in listed:
        rows = np.flatnonzero(in_chain[area])
        era[rows] = eras.of(chain, number[rows])
    return era

"""The spell rule: which months an application makes payable (自愿申请; 自递交申请当月计发).

One application opens one spell. A spell pauses and resumes by itself, or ends; later months need a new application.
All spells of a batch go through their persons' months together: the loop is over months, never over persons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.eligibility.columns import LAST_MONTH, Applications
from services.eligibility.policy.eras import Ints

PAYABLE, PAUSED, BARRED = 0, 1, 2
NO_OPENING = -1
NO_END = LAST_MONTH + 1
WITHDRAWN, MOVED_AWAY = 1000, 1001
ENDINGS = {WITHDRAWN: "withdrawn", MOVED_AWAY: "moved_away"}
"""Why a spell ends, where no rule is the cause; rules are meant by their positions."""


@dataclass(frozen=True, slots=True)
class MonthRuns:
    """Columns over runs of months, `first` to `last` (Period.index), that are alike; sorted by person and month.

    `state` is PAYABLE, PAUSED or BARRED; `because` the position of the rule that keeps them from being payable. `day`
    is the first qualifying day of the first month or, of paused months, the first that would qualify but for what
    pauses; `stay` is the county lived in on it.
    """

    person: Ints
    first: Ints
    last: Ints
    state: Ints
    because: Ints
    day: Ints
    stay: Ints
    area: Ints
    level: Ints
    category: Ints
    amount_fen: Ints


@dataclass(frozen=True, slots=True)
class Openings:
    """Where the spell of each application begins: a run, or NO_OPENING where it is refused. `left_at` is the first stay
    after it in a county that did not take the person over; the limits are those in force then.

    After `max_pause_months` of pause a spell has ended. One that has not paid yet waits `max_wait_months` whole months
    for another benefit to end.
    """

    run: Ints
    left_at: Ints
    max_pause_months: Ints
    max_wait_months: Ints


@dataclass(frozen=True, slots=True)
class Spells:
    """Columns over the applications for one subsidy: what each made payable.

    `opened_in` is a month, or NO_OPENING: it was refused. `ended_in` is the first month that it can no longer make
    payable, or NO_END; `because` the position of a rule, WITHDRAWN or MOVED_AWAY. `paid_run[i]` is a run that spell
    `paid_by[i]` pays, by spell and month.
    """

    applications: Applications
    opened_in: Ints
    ended_in: Ints
    because: Ints
    paid_by: Ints
    paid_run: Ints


def run_spells(applications: Applications, openings: Openings, runs: MonthRuns) -> Spells:
    """Every spell from its opening to its end, or to the end of time."""
    withdrawn_undecided = applications.withdrawn_on < applications.decided_on
    opening = np.where(withdrawn_undecided, NO_OPENING, openings.run)
    ended_in = np.full(len(opening), NO_END, dtype=np.int64)
    because = np.full(len(opening), -1, dtype=np.int64)
    paid: list[tuple[Ints, Ints]] = [(opening[:0], opening[:0])]

    spell = np.flatnonzero(opening != NO_OPENING)
    run = opening[spell]
    paused_months = np.zeros_like(spell)
    has_paid = np.zeros(len(spell), dtype=bool)
    last_of_person = np.append(runs.person[1:] != runs.person[:-1], True)
    while len(spell):
        payable = runs.state[run] == PAYABLE
        barred = runs.state[run] == BARRED
        withdrawn = runs.day[run] >= applications.withdrawn_on[spell]
        moved_away = runs.stay[run] >= openings.left_at[spell]
        stops = barred | withdrawn | moved_away
        limit = np.where(has_paid, openings.max_pause_months[spell], openings.max_wait_months[spell] + 1)
        paused_after = np.where(payable, 0, paused_months + runs.last[run] - runs.first[run] + 1)
        tires = ~payable & (paused_after >= limit)

        ends = stops | tires
        ended = spell[ends]
        ended_in[ended] = np.where(stops, runs.first[run], runs.first[run] + limit - paused_months)[ends]
        because[ended] = np.where(
            barred | ~(withdrawn | moved_away), runs.because[run], np.where(withdrawn, WITHDRAWN, MOVED_AWAY)
        )[ends]
        pays = payable & ~stops
        paid.append((spell[pays], run[pays]))

        goes_on = ~ends & ~last_of_person[run]
        spell, run, paused_months = spell[goes_on], run[goes_on] + 1, paused_after[goes_on]
        has_paid = (has_paid | pays)[goes_on]

    paid_by, paid_run = (np.concatenate(column) for column in zip(*paid, strict=True))
    order = np.lexsort((paid_run, paid_by))
    opened = opening != NO_OPENING
    return Spells(
        applications=applications,
        opened_in=np.where(opened, runs.first[opening], NO_OPENING),
        ended_in=ended_in,
        because=because,
        paid_by=paid_by[order],
        paid_run=paid_run[order],
    )

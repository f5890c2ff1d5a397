"""The spell rule: which months an application makes payable (自愿申请; 自递交申请当月计发).

One application opens one spell. A spell pauses and resumes by itself, or ends; later months need a new application.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

from libs.common.period import Period
from libs.common.vocabulary import Category
from services.eligibility.facts import Application

RunState = Literal["payable", "paused", "barred"]


class MonthRun(NamedTuple):
    """Consecutive months, `first` to `last` (Period.index), that are alike.

    `because` names the rule that keeps them from being payable. `day` (a day number) is the first qualifying day of the
    first month or, of paused months, the first that would qualify but for what pauses; `stay` is the county lived in
    on it.
    """

    first: int
    last: int
    state: RunState
    because: str
    day: int
    stay: int
    area: str
    level: int
    category: Category
    amount_fen: int


class Opening(NamedTuple):
    """Where a spell begins: the position of a person's run, the stay then, and the limits in force then.

    After `max_pause_months` of pause a spell has ended. One that has not paid yet waits `max_wait_months` whole months
    for another benefit to end.
    """

    position: int
    stay: int
    max_pause_months: int
    max_wait_months: int


@dataclass(slots=True)
class Spell:
    """What one application made payable: `paid` are runs. `opened_in` None: it was refused.

    `ended_in` is the first month that it can no longer make payable, None while it still may.
    """

    application: Application
    opened_in: int | None = None
    paid: list[MonthRun] = field(default_factory=list)
    ended_in: int | None = None
    ended_because: str = ""

    def covers(self, month: int) -> bool:
        """Whether the spell runs in that month, paying or pausing."""
        return (
            self.opened_in is not None and self.opened_in <= month and (self.ended_in is None or month < self.ended_in)
        )


def decided_by(application: Application) -> date:
    """The day of decision; of an application not decided yet, the end of its month."""
    return application.decided_on or Period.of(application.applied_on).last_day


def withdrawn_undecided(application: Application) -> bool:
    return application.withdrawn_on is not None and application.withdrawn_on <= decided_by(application)


def run_spell(
    application: Application,
    opening: Opening,
    runs: Sequence[MonthRun],
    continues: Sequence[bool],
    withdrawn_day: int | None,
) -> Spell:
    """The spell that an application opened, over a person's runs of months.

    `continues[k]`: the county of stay k took the person over from the one before. `withdrawn_day` is the number of the
    first day without the application.
    """
    spell = Spell(application, opened_in=runs[opening.position].first)
    left_at = next((k for k in range(opening.stay + 1, len(continues)) if not continues[k]), len(continues))
    paused_months = 0
    for run in runs[opening.position :]:
        if run.state == "barred":
            return _end(spell, run.first, run.because)
        if withdrawn_day is not None and run.day >= withdrawn_day:
            return _end(spell, run.first, "withdrawn")
        if run.stay >= left_at:
            return _end(spell, run.first, "moved_away")
        if run.state == "payable":
            paused_months = 0
            spell.paid.append(run)
            continue
        months = run.last - run.first + 1
        limit = opening.max_pause_months if spell.paid else opening.max_wait_months + 1
        if paused_months + months >= limit:
            return _end(spell, run.first + limit - paused_months, run.because)
        paused_months += months
    return spell


def _end(spell: Spell, month: int, because: str) -> Spell:
    spell.ended_in, spell.ended_because = month, because
    return spell

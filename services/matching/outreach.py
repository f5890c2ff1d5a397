"""Outreach (主动服务): who is to be told of the subsidies, and the two clocks of notice 1.

The office has its clock first: within three months of the day on which somebody entered dibao or was certified it
reminds, in any recorded form. Only who was reminded in time has a clock of their own, and only when that has run out
too is the silence a voluntary waiver. A reminder that comes late, or never, is the office's alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.matching.deadlines import months_after

Because = Literal["entered_low_income", "certified", "qualifies_again"]
OutreachStatus = Literal["identified", "reminding", "task", "reminded", "applied", "lapsed", "closed"]
OPEN: tuple[OutreachStatus, ...] = ("identified", "reminding", "task", "reminded")

NEWLY: dict[str, Because] = {"low_income.entered": "entered_low_income", "certificate.issued": "certified"}
AGAIN = (
    *NEWLY,
    "certificate.renewed",
    "certificate.reassessed",
    "certificate.unfrozen",
    "person.released",
    "person.reappeared",
    "benefit.ended",
    "low_income.exited",
)
"""News after which somebody who lost a spell may qualify again."""
ENDING = ("person.died", "person.declared_dead")
"""News after which nobody is reminded any more."""
_REMINDED_INCOMES = ("dibao", "borderline")


@dataclass(frozen=True, slots=True)
class News:
    """A fact that may make its person a candidate. `known_on`: when it was told."""

    person_id: str
    kind: str
    began_on: date
    known_on: date
    area: str
    income: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands to the subsidies: which are received, which applied for, which were ever received."""

    receives: frozenset[Subsidy] = frozenset()
    applies: frozenset[Subsidy] = frozenset()
    received: frozenset[Subsidy] = frozenset()
    certified: bool = False
    dead: bool = False

    @property
    def lacks(self) -> frozenset[Subsidy]:
        return frozenset(SUBSIDIES) - self.receives - self.applies


def occasion(news: News, standing: Standing) -> Because | None:
    """Why the news makes its person a candidate, None where it does not.

    Dibao alone is no occasion: without a certificate there is nothing to apply for, and when one is issued, that is.
    It brings only living nearer; who receives or asked for that already is not bothered. Out of tekun support, which
    bars both, somebody may qualify again.
    """
    if news.kind == "low_income.entered" and (news.income not in _REMINDED_INCOMES or not standing.certified):
        return None
    if news.kind == "low_income.exited" and news.income != "tekun":
        return None
    if standing.dead:
        return None
    wanted = {"living"} if news.kind == "low_income.entered" else set(SUBSIDIES)
    if not wanted & standing.lacks or standing.applies:
        return None
    if wanted & standing.lacks & standing.received:
        return "qualifies_again"
    return NEWLY.get(news.kind)


def remind_by(began_on: date, deadline_months: int) -> date:
    """The last day of the office's clock."""
    return months_after(began_on, deadline_months)


def lapses_after(remind_by: date, reminded_on: date, waiver_days: int) -> date | None:
    """The last day on which an application answers the reminder; None for a late reminder, which waives nothing."""
    if reminded_on > remind_by:
        return None
    return max(remind_by, reminded_on + timedelta(days=waiver_days))

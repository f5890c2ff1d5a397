"""The rules once more, day by day and month by month, as slowly and plainly as they can be written.

Written from the text of the rules, not from the code under test, and sharing nothing with it but the facts' types. Its
standards are those of the sample layer, spelled out; it knows no other policy.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from services.eligibility.facts import Application, Certificate, Facts

NEW_STANDARD = date(2026, 1, 1)
MAX_PAUSE = 12
MAX_WAIT = 6
PAUSES = {"missing", "lapsed", "same class"}

Month = tuple[int, int]


@dataclass
class Day:
    """What holds on one day: the conditions that fail, and who would pay what if none did."""

    on: date
    fails: set[str]
    area: str
    level: int
    amount_fen: int


def payable(facts: Facts, subsidy: str, last: Month) -> dict[Month, tuple[int, str, int]]:
    """Each payable month up to `last`: (fen, county, level)."""
    paid: dict[Month, tuple[int, str, int]] = {}
    for application in facts.applications:
        if application.subsidy == subsidy:
            paid.update(_spell(facts, application, last))
    return paid


def _spell(facts: Facts, application: Application, last: Month) -> dict[Month, tuple[int, str, int]]:
    subsidy = application.subsidy
    decided = application.decided_on or _last_day((application.applied_on.year, application.applied_on.month))
    if application.withdrawn_on is not None and application.withdrawn_on < decided:
        return {}
    opening = None
    for on in _days(application.applied_on, decided):
        if not _day(facts, subsidy, on).fails and not _bars(facts, subsidy, (on.year, on.month)) - PAUSES:
            opening = on
            break
    if opening is None:
        return {}
    paid: dict[Month, tuple[int, str, int]] = {}
    pause = 0
    month = (opening.year, opening.month)
    while month <= last:
        days = [_day(facts, subsidy, on) for on in _days(date(*month, 1), _last_day(month))]
        bars = _bars(facts, subsidy, month)
        qualifying = [day for day in days if not day.fails]
        but_for_pauses = [day for day in days if not day.fails - PAUSES]
        if bars - PAUSES or not but_for_pauses:
            break
        first = (qualifying or but_for_pauses)[0]
        if application.withdrawn_on is not None and first.on >= application.withdrawn_on:
            break
        if not _taken_over(facts, opening, first.on):
            break
        if qualifying and not bars:
            pause = 0
            paid[month] = (first.amount_fen, first.area[:6], first.level)
        else:
            pause += 1
            if pause >= (MAX_PAUSE if paid else MAX_WAIT + 1):
                break
        month = _next(month)
    return paid


def _day(facts: Facts, subsidy: str, on: date) -> Day:
    fails: set[str] = set()
    returns = [event.on for event in facts.life if event.event == "reappeared"]
    for event in facts.life:
        if event.event == "died" and on > event.on:
            fails.add("dead")
        if event.event == "declared_dead" and on > event.on and not any(back >= event.on for back in returns):
            fails.add("dead")
        if event.event in ("missing", "declared_missing") and on >= event.on:
            back = [r for r in returns if r >= event.on]
            if not back or on < min(back):
                fails.add("missing")
    for custody in facts.custody:
        if custody.kind in ("serving", "detention_serving") and _in(custody.from_, custody.to, on):
            fails.add("prison")
    living_at = [r for r in sorted(facts.residences, key=lambda r: r.from_) if _in(r.from_, r.to, on)]
    area = living_at[-1].area if living_at else ""
    if not area.startswith("53"):
        fails.add("elsewhere")
    certificate, status = _certificate(facts, on)
    if certificate is None or status in ("cancelled", "moved_out"):
        fails.add("no certificate")
    elif status != "valid":
        fails.add("lapsed")
    level = certificate.level if certificate is not None else 0
    if subsidy == "living":
        if not any(i.category == "dibao" and _in(i.from_, i.to, on) for i in facts.low_income):
            fails.add("not poor")
        amount_fen = 10000 if on >= NEW_STANDARD else 9000
    else:
        needs = [n for n in facts.care_needs if _in(n.from_, n.to, on)]
        if level not in (1, 2):
            fails.add("not severe")
        if needs and not needs[-1].needed:
            fails.add("no need")
        amount_fen = {1: 10000, 2: 9000}.get(level, 0) + (1000 if on >= NEW_STANDARD else 0)
    return Day(on, fails, area, level, amount_fen)


def _bars(facts: Facts, subsidy: str, month: Month) -> set[str]:
    first, last = date(*month, 1), _last_day(month)

    def touches(from_: date, to: date | None) -> bool:
        return from_ <= last and (to is None or to >= first)

    bars = {"tekun" for i in facts.low_income if i.category == "tekun" and touches(i.from_, i.to)}
    for benefit in facts.benefits:
        if not touches(benefit.from_, benefit.to):
            continue
        if benefit.kind == "work_injury_care":
            bars.add("work injury")
        if subsidy == "living" and benefit.kind in ("orphan", "unattended_child_full"):
            bars.add("child allowance")
        same = {
            "living": ("retired_cadre_living", "duty_disability_living", "other_living"),
            "care": ("elderly_care", "retired_cadre_care", "duty_disability_care", "other_care"),
        }[subsidy]
        if benefit.kind in same:
            bars.add("same class")
    return bars


def _certificate(facts: Facts, on: date) -> tuple[Certificate | None, str]:
    begun = [c for c in sorted(facts.certificates, key=lambda c: c.from_) if c.from_ <= on]
    in_force = [c for c in begun if _in(c.from_, c.to, on)]
    if in_force:
        return in_force[-1], _status(facts, in_force[-1])
    if begun:
        status = _status(facts, begun[-1])
        return begun[-1], "expired" if status == "valid" else status
    return None, ""


def _status(facts: Facts, certificate: Certificate) -> str:
    first = certificate.from_.replace(day=1)
    taken_over = any(transfer.accepted_on >= first for transfer in facts.transfers)
    return "in_transit" if certificate.status == "moved_out" and taken_over else certificate.status


def _taken_over(facts: Facts, opening: date, on: date) -> bool:
    """Every change of county between the opening and that day was accepted by the new county."""
    stays: list[tuple[str, date]] = []
    for residence in sorted(facts.residences, key=lambda r: r.from_):
        if not stays or stays[-1][0] != residence.area[:6]:
            stays.append((residence.area[:6], residence.from_))

    def stay_on(day: date) -> int:
        return max(i for i, (_, since) in enumerate(stays) if since <= day)

    for i in range(stay_on(opening) + 1, stay_on(on) + 1):
        until = stays[i + 1][1] if i + 1 < len(stays) else date.max
        county, before = stays[i][0], stays[i - 1][1]
        if not any(t.area[:6] == county and before <= t.accepted_on < until for t in facts.transfers):
            return False
    return True


def _in(from_: date, to: date | None, on: date) -> bool:
    return from_ <= on and (to is None or on <= to)


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _last_day(month: Month) -> date:
    return date(*month, calendar.monthrange(*month)[1])


def _next(month: Month) -> Month:
    return (month[0] + month[1] // 12, month[1] % 12 + 1)

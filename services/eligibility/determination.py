"""Who is entitled to what, month by month, and why: one policy over a batch of persons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES, Category, Subsidy
from services.eligibility.days import LAST_MONTH, spread
from services.eligibility.facts import Application, Facts
from services.eligibility.months import NO_ROW, Months
from services.eligibility.policy.eras import compile_eras, day_number
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.policy.rules import stacks
from services.eligibility.spells import MonthRun, Spell, run_spell, withdrawn_undecided

Outcome = Literal["pass", "fail", "not_applicable"]

_COUNTY_DIGITS = 6
_ACCRUAL = "国发〔2015〕52号 四（一）; notice 1.6"


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Consecutive months `from_` to `to` (both included, None: for ever) that are payable alike; county `area` pays.

    `cause` says why these months begin, or differ from those before.
    """

    from_: Period
    to: Period | None
    amount_fen: int
    area: str
    level: int
    category: Category
    policy_version: str
    cause: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every payable month of one person and subsidy. `stopped_because` names what keeps the month after the last one
    from being payable, None where there is no last one."""

    entitlements: tuple[Entitlement, ...]
    stopped_because: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    rule: str
    outcome: Outcome
    citation: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One subsidy in one month. `area` and `level` are those of the day that decides."""

    subsidy: Subsidy
    eligible: bool
    amount_fen: int
    area: str | None
    level: int | None
    reasons: tuple[Reason, ...]


class Determination:
    """The judgement of a batch, asked by position in it.

    Months before a person's first application are never payable and are not looked at, unless `since` is earlier.
    """

    def __init__(self, persons: Sequence[Facts], policy: PolicySet, *, since: Period | None = None) -> None:
        self._policy = policy
        self._days = spread(persons, [_first_month(facts, since) for facts in persons], compile_eras(policy))
        self._months = {subsidy: Months(subsidy, self._days) for subsidy in SUBSIDIES}
        self._spells = {subsidy: self._run_spells(subsidy, persons) for subsidy in SUBSIDIES}

    def schedule(self, person: int, subsidy: Subsidy) -> Schedule:
        """The payable months of one person."""
        spells = self._spells[subsidy].get(person, [])
        paid = {run.first: (run, run is spell.paid[0]) for spell in spells for run in spell.paid}
        if not paid:
            return Schedule((), None)
        entitlements: list[Entitlement] = []
        first: MonthRun | None = None
        last: MonthRun | None = None
        cause = ""
        for month in sorted(paid):
            run, opens = paid[month]
            change = _change(last, run, opens)
            if first is None or last is None:
                first, cause = run, change
            elif change:
                entitlements.append(self._entitlement(first, last, cause))
                first, cause = run, change
            last = run
        assert first is not None
        assert last is not None
        entitlements.append(self._entitlement(first, last, cause))
        if last.last >= LAST_MONTH:
            return Schedule(tuple(entitlements), None)
        return Schedule(tuple(entitlements), self._why_stopped(person, subsidy, spells, last.last + 1))

    def decision(self, person: int, subsidy: Subsidy, period: Period, area: str | None = None) -> Decision:
        """One month with its reasons. Given the `area` that asks, a month that another area pays is not payable."""
        days, months = self._days, self._months[subsidy]
        run = days.run_at(person, period.index)
        row = months.decisive_row(run)
        qualifies = bool(months.qualifying_row[run] != NO_ROW)
        lives_in = days.areas[days.residence[row]] if days.residence[row] >= 0 else None
        pays_here = not qualifies or area is None or (lives_in or "").startswith(area)
        spells = self._spells[subsidy].get(person, [])
        is_paid = any(paid.first <= period.index <= paid.last for spell in spells for paid in spell.paid)
        eligible = is_paid and pays_here
        return Decision(
            subsidy=subsidy,
            eligible=eligible,
            amount_fen=months.amount_fen(row) if eligible else 0,
            area=lives_in,
            level=int(days.level[row]) or None,
            reasons=(
                *self._rule_reasons(months, run, row),
                _area_reason(qualifies, pays_here, lives_in),
                _spell_reason(spells, period),
            ),
        )

    def _run_spells(self, subsidy: Subsidy, persons: Sequence[Facts]) -> dict[int, list[Spell]]:
        listed: list[tuple[int, Application]] = [
            (person, application)
            for person, facts in enumerate(persons)
            for application in sorted(facts.applications, key=lambda a: a.applied_on)
            if application.subsidy == subsidy
        ]
        if not listed:
            return {}
        months = self._months[subsidy]
        openings = months.openings([person for person, _ in listed], [application for _, application in listed])
        spells: dict[int, list[Spell]] = {}
        for (person, application), opening in zip(listed, openings, strict=True):
            if opening is None or withdrawn_undecided(application):
                spell = Spell(application)
            else:
                withdrawn_day = None if application.withdrawn_on is None else day_number(application.withdrawn_on)
                runs, continues = months.runs(person), self._days.continues[person]
                spell = run_spell(application, opening, runs, continues, withdrawn_day)
            spells.setdefault(person, []).append(spell)
        return spells

    def _entitlement(self, first: MonthRun, last: MonthRun, cause: str) -> Entitlement:
        return Entitlement(
            from_=Period.from_index(first.first),
            to=None if last.last >= LAST_MONTH else Period.from_index(last.last),
            amount_fen=first.amount_fen,
            area=first.area[:_COUNTY_DIGITS],
            level=first.level,
            category=first.category,
            policy_version=self._policy.version(first.area),
            cause=cause,
        )

    def _why_stopped(self, person: int, subsidy: Subsidy, spells: list[Spell], month: int) -> str:
        last = max((spell for spell in spells if spell.paid), key=lambda spell: spell.paid[-1].last)
        if last.ended_in == month:
            return last.ended_because
        return next(run.because for run in self._months[subsidy].runs(person) if run.first <= month <= run.last)

    def _rule_reasons(self, months: Months, run: int, row: int) -> Iterator[Reason]:
        for rule, met in months.outcomes(run, row):
            yield Reason(rule.name, "pass" if met else "fail", rule.citation, rule.met if met else rule.unmet)
        stacked = bool(stacks(self._days)[self._days.rows_of(run)].any())
        detail = (
            "养老服务补贴、高龄津贴等可叠加享受 (elderly service, old-age and in-part child allowances never matter)"
        )
        yield Reason("stacking_benefits", "pass" if stacked else "not_applicable", "notice 2.3; notice 2.4", detail)


def _change(before: MonthRun | None, run: MonthRun, opens: bool) -> str:
    """Why a paid run is another entitlement than the run paid before it; empty where it is the same one."""
    if before is None or before.last + 1 != run.first:
        return "application.approved" if opens else "spell.resumed"
    if before.area[:_COUNTY_DIGITS] != run.area[:_COUNTY_DIGITS]:
        return "person.moved"
    if before.level != run.level:
        return "certificate.reassessed"
    return "" if before.amount_fen == run.amount_fen else "standard.changed"


def _first_month(facts: Facts, since: Period | None) -> Period:
    first = min((Period.of(application.applied_on) for application in facts.applications), default=None)
    known = [period for period in (first, since) if period is not None]
    return min(known, default=Period(1970, 1))


def _area_reason(qualifies: bool, pays_here: bool, lives_in: str | None) -> Reason:
    outcome: Outcome = "not_applicable" if not qualifies else "pass" if pays_here else "fail"
    detail = "由当月首个符合条件之日的户籍地发放 (the area of residence on the first qualifying day pays)"
    return Reason("paying_area", outcome, "国发〔2015〕52号 四（一）", f"{detail}: {lives_in or '—'}")


def _spell_reason(spells: list[Spell], period: Period) -> Reason:
    """Whether an application covers the month, and if none does, what became of the last one before it."""
    earlier = [spell for spell in spells if Period.of(spell.application.applied_on) <= period]
    if not earlier:
        return Reason("application", "fail", _ACCRUAL, "当月及以前没有申请 (no application in this month or before)")
    for spell in earlier:
        if spell.covers(period.index):
            detail = f"{spell.application.applied_on} 的申请 (covered by the application of that day)"
            return Reason("application", "pass", _ACCRUAL, detail)
    last = earlier[-1]
    if withdrawn_undecided(last.application):
        detail = "申请在审定前撤回 (withdrawn before it was decided)"
    elif last.opened_in is None:
        detail = "申请至审定之间没有符合条件的日子 (no qualifying day between application and decision)"
    elif last.ended_in is None or last.opened_in > period.index:
        detail = "自首个符合条件的月份起计发 (payable from the first month that qualifies)"
    else:
        ended = Period.from_index(last.ended_in)
        detail = f"已自 {ended} 终止, 需重新申请 (ended for {last.ended_because}; a new application is needed)"
    return Reason("application", "fail", _ACCRUAL, detail)

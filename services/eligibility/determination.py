"""Who is entitled to what, month by month, and why: one policy over a batch of persons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Literal

import numpy as np

from libs.common.events.eligibility import BenefitComparison
from libs.common.period import Period
from libs.common.vocabulary import BENEFIT_NAMES, SUBSIDIES, Subsidy
from services.eligibility.choices import CITATION, compare, kept_other
from services.eligibility.columns import FactColumns, columns_of
from services.eligibility.days import Days, spread
from services.eligibility.facts import Facts
from services.eligibility.months import NO_ROW, Months
from services.eligibility.policy.eras import Bools, compile_eras, date_of
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.policy.rules import judge_all, stacks
from services.eligibility.schedules import Entitlement, Schedule, Schedules, build_schedules, entitlements
from services.eligibility.spells import NO_END, NO_OPENING, Spells, run_spells

Outcome = Literal["pass", "fail", "not_applicable"]

_ACCRUAL = "国发〔2015〕52号（条款待核）; notice 1.6"


@dataclass(frozen=True, slots=True)
class Reason:
    rule: str
    outcome: Outcome
    citation: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One subsidy in one month. `area`, `level` and `standard_fen` are those of the day that decides; the standard is 0
    where no day qualifies. `comparison`: with another benefit of the class, where one is paid for the month."""

    subsidy: Subsidy
    eligible: bool
    amount_fen: int
    area: str | None
    level: int | None
    standard_fen: int
    reasons: tuple[Reason, ...]
    comparison: BenefitComparison | None = None


class Judgement:
    """One subsidy over a batch: months, spells and schedules, as columns."""

    def __init__(self, subsidy: Subsidy, facts: FactColumns, days: Days, met: Sequence[Bools]) -> None:
        self.months = Months(subsidy, days, met)
        applications = facts.applications.for_subsidy(subsidy)
        self.spells: Spells = run_spells(applications, self.months.openings(applications), self.months.runs)
        self.schedules: Schedules = build_schedules(days, self.months.runs, self.spells, self.months.rules)

    @cached_property
    def paid_runs(self) -> Bools:
        """Which runs of alike months are paid."""
        paid = np.zeros(len(self.months.qualifying_row), dtype=np.bool_)
        paid[self.spells.paid_run] = True
        return paid


class Determination:
    """The judgement of a batch, asked by position in it.

    Months before a person's first application are never payable and are not looked at, unless `since` is earlier.
    """

    def __init__(
        self, persons: Sequence[Facts] | FactColumns, policy: PolicySet, *, since: Period | None = None
    ) -> None:
        facts = persons if isinstance(persons, FactColumns) else columns_of(persons)
        self._policy = policy
        self.days = spread(facts, facts.first_days(since), compile_eras(policy))
        met = judge_all(self.days)
        self.judged = {subsidy: Judgement(subsidy, facts, self.days, met[subsidy]) for subsidy in SUBSIDIES}

    def schedule(self, person: int, subsidy: Subsidy) -> Schedule:
        """The payable months of one person."""
        entries, rows_of, stopped = self._listed[subsidy]
        low, high = rows_of[person], rows_of[person + 1]
        return Schedule(tuple(entries[low:high]), stopped[high - 1]) if high > low else Schedule((), None)

    def decision(self, person: int, subsidy: Subsidy, period: Period, area: str | None = None) -> Decision:
        """One month with its reasons. Given the `area` that asks, a month that another area pays is not payable."""
        days, months = self.days, self.judged[subsidy].months
        run = days.run_at(person, period.index)
        row = months.decisive_row(run)
        qualifies = bool(months.qualifying_row[run] != NO_ROW)
        lives_in = days.areas[days.residence[row]] if days.residence[row] >= 0 else None
        pays_here = not qualifies or area is None or (lives_in or "").startswith(area)
        spells = self._spells_of(person, subsidy)
        eligible = bool(self.judged[subsidy].paid_runs[run]) and pays_here
        return Decision(
            subsidy=subsidy,
            eligible=eligible,
            amount_fen=months.amount_fen(row) if eligible else 0,
            area=lives_in,
            level=int(days.level[row]) or None,
            standard_fen=max(months.amount_fen(row), 0) if qualifies else 0,
            reasons=(
                *self._rule_reasons(months, run, row),
                _area_reason(qualifies, pays_here, lives_in),
                _spell_reason(spells, period),
            ),
        )

    @cached_property
    def _listed(self) -> dict[Subsidy, tuple[list[Entitlement], list[int], list[str | None]]]:
        """Of each subsidy every entitlement, where each person's begin, and why they stop after each."""
        persons = np.arange(len(self.days.runs_of))
        return {
            subsidy: (
                entitlements(judged.schedules, self.days, judged.months.runs, self._policy),
                np.searchsorted(judged.schedules.person, persons).tolist(),
                [judged.schedules.reasons.get(code) for code in judged.schedules.stopped.tolist()],
            )
            for subsidy, judged in self.judged.items()
        }

    def _spells_of(self, person: int, subsidy: Subsidy) -> list[_Spell]:
        spells = self.judged[subsidy].spells
        reasons = self.judged[subsidy].schedules.reasons
        low, high = np.searchsorted(spells.applications.person, (person, person + 1)).tolist()
        return [
            _Spell(
                applied_on=date_of(int(spells.applications.applied_on[i])),
                withdrawn_undecided=bool(spells.applications.withdrawn_on[i] < spells.applications.decided_on[i]),
                opened_in=int(spells.opened_in[i]),
                ended_in=int(spells.ended_in[i]),
                ended_because=reasons.get(int(spells.because[i]), ""),
            )
            for i in range(low, high)
        ]

    def _rule_reasons(self, months: Months, run: int, row: int) -> Iterator[Reason]:
        for rule, met in months.outcomes(run, row):
            yield Reason(rule.name, "pass" if met else "fail", rule.citation, rule.met if met else rule.unmet)
        stacked = bool(stacks(self.days)[self.days.rows_of(run)].any())
        detail = (
            "养老服务补贴、高龄津贴等可叠加享受 (elderly service, old-age and in-part child allowances never matter)"
        )
        yield Reason("stacking_benefits", "pass" if stacked else "not_applicable", "notice 2.3; notice 2.4", detail)


def weighed(decision: Decision, facts: Facts, period: Period, policy: PolicySet) -> Decision:
    """The decision with the comparison of notice 2.2, refused where the person has chosen to keep the other benefit."""
    if not facts.benefits and not facts.choices:
        return decision
    same_class = policy.value(f"{decision.subsidy}.same_class_benefits", decision.area or "", period.first_day) or []
    kept = kept_other(facts, decision.subsidy, same_class)
    comparison = compare(facts, decision.subsidy, period, decision.standard_fen, same_class)
    if kept is None:
        return replace(decision, comparison=comparison)
    detail = f"{kept.signed_on} 的择高声明保留{BENEFIT_NAMES[kept.kind]} (the signed choice keeps the other benefit)"
    return replace(
        decision,
        eligible=False,
        amount_fen=0,
        comparison=comparison,
        reasons=(*decision.reasons, Reason("choice", "fail", CITATION, detail)),
    )


@dataclass(frozen=True, slots=True)
class _Spell:
    """What became of one application."""

    applied_on: date
    withdrawn_undecided: bool
    opened_in: int
    ended_in: int
    ended_because: str

    def covers(self, month: int) -> bool:
        """Whether the spell runs in that month, paying or pausing."""
        return self.opened_in != NO_OPENING and self.opened_in <= month < self.ended_in


def _area_reason(qualifies: bool, pays_here: bool, lives_in: str | None) -> Reason:
    outcome: Outcome = "not_applicable" if not qualifies else "pass" if pays_here else "fail"
    detail = "由当月首个符合条件之日的户籍地发放 (the area of residence on the first qualifying day pays)"
    return Reason("paying_area", outcome, "国发〔2015〕52号（条款待核）", f"{detail}: {lives_in or '—'}")


def _spell_reason(spells: list[_Spell], period: Period) -> Reason:
    """Whether an application covers the month, and if none does, what became of the last one before it."""
    earlier = [spell for spell in spells if Period.of(spell.applied_on) <= period]
    if not earlier:
        return Reason("application", "fail", _ACCRUAL, "当月及以前没有申请 (no application in this month or before)")
    for spell in earlier:
        if spell.covers(period.index):
            detail = f"{spell.applied_on} 的申请 (covered by the application of that day)"
            return Reason("application", "pass", _ACCRUAL, detail)
    last = earlier[-1]
    if last.withdrawn_undecided:
        detail = "申请在审定前撤回 (withdrawn before it was decided)"
    elif last.opened_in == NO_OPENING:
        detail = "申请至审定之间没有符合条件的日子 (no qualifying day between application and decision)"
    elif last.ended_in == NO_END or last.opened_in > period.index:
        detail = "自首个符合条件的月份起计发 (payable from the first month that qualifies)"
    else:
        ended = Period.from_index(last.ended_in)
        detail = f"已自 {ended} 终止, 需重新申请 (ended for {last.ended_because}; a new application is needed)"
    return Reason("application", "fail", _ACCRUAL, detail)

"""The rules of both subsidies, each a comparison over columns, true where the rule is met.

One definition judges one person on an event, a batch of them, and a county: `Days` may hold any number of rows. A rule
says nothing of months and applications: that is for `months.py` and `spells.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, cast

import numpy as np

from libs.common.vocabulary import Subsidy
from services.eligibility.days import STATUS, UNASSESSED, Days
from services.eligibility.policy.eras import BENEFIT_BIT, CUSTODY_BIT, Bools

RuleKind = Literal["condition", "exclusion"]
Judge = Callable[[Days, Subsidy], Bools]


@dataclass(frozen=True, slots=True)
class Rule:
    """`judge` gives true per row where the rule is met; `met` and `unmet` say so to a person.

    Of the conditions one day of a month must meet all; an exclusion bars every month that a failing day lies in. Where
    nothing fails but rules that `pause`, a spell pauses and resumes by itself; any other failure ends it.
    """

    name: str
    kind: RuleKind
    pauses: bool
    citation: str
    met: str
    unmet: str
    judge: Judge


_OPINION = "国发〔2015〕52号（条款待核）"
"""Its text is not at hand: whom it names is known, the number of the clause is not."""
_SERVING = CUSTODY_BIT["serving"] | CUSTODY_BIT["detention_serving"]
_STACKING = BENEFIT_BIT["elderly_service"] | BENEFIT_BIT["old_age"] | BENEFIT_BIT["unattended_child_part"]


def _rule(kind: RuleKind, cites: str, *, met: str, unmet: str, pauses: bool = False) -> Callable[[Judge], Rule]:
    def named(judge: Judge) -> Rule:
        return Rule(judge.__name__, kind, pauses, cites, met, unmet, judge)

    return named


@_rule(
    "condition",
    f"notice 3.6; {_OPINION}",
    met="健在 (alive)",
    unmet="已死亡或被宣告死亡 (died, or was declared dead)",
)
def alive(days: Days, subsidy: Subsidy) -> Bools:
    """The day of death still counts."""
    return days.alive


@_rule("condition", "notice 3.6", met="未失踪 (not missing)", unmet="失踪期间 (missing)", pauses=True)
def not_missing(days: Days, subsidy: Subsidy) -> Bools:
    """Reported and verified, or declared by a court; until the person reappears."""
    return ~days.missing


@_rule(
    "condition",
    "notice 3.6",
    met="未在监服刑 (not serving a sentence in prison)",
    unmet="在监服刑 (serving a sentence in prison)",
)
def not_in_prison(days: Days, subsidy: Subsidy) -> Bools:
    """Detention before trial, probation, parole and serving outside prison do not matter."""
    return _bools((days.custody & _SERVING) == 0)


@_rule(
    "condition",
    _OPINION,
    met="户籍在补贴实施地区 (resident where the subsidies are paid)",
    unmet="户籍不在补贴实施地区 (not resident where the subsidies are paid)",
)
def resident(days: Days, subsidy: Subsidy) -> Bools:
    """In an area for which standards are set on that day."""
    return (days.residence >= 0) & days.eras.governed[days.era]


@_rule(
    "condition",
    "notice 3.3",
    met="持有残疾人证 (holds a disability certificate)",
    unmet="没有残疾人证, 或已注销、迁出 (no certificate, or cancelled, or moved out)",
)
def certificate_held(days: Days, subsidy: Subsidy) -> Bools:
    """Also while it is expired, frozen or in transit."""
    return _bools((days.status >= STATUS["valid"]) & (days.status <= STATUS["frozen"]))


@_rule(
    "condition",
    "notice 3.3",
    met="残疾人证有效 (certificate in force)",
    unmet="残疾人证过期、冻结或迁移中 (certificate expired, frozen or in transit)",
    pauses=True,
)
def certificate_current(days: Days, subsidy: Subsidy) -> Bools:
    """Of one who holds a certificate; without one there is nothing that could lapse."""
    return _bools(~((days.status > STATUS["valid"]) & (days.status <= STATUS["frozen"])))


@_rule(
    "condition",
    f"notice 3.2; {_OPINION}",
    met="经济状况在补贴范围内 (economic status in scope)",
    unmet="不属低保或当地扩大的范围 (neither in dibao nor in what the area widened to)",
)
def economic_status(days: Days, subsidy: Subsidy) -> Bools:
    return _bools((days.income & days.eras.subsidy[subsidy].income[days.era]) != 0)


@_rule(
    "condition",
    _OPINION,
    met="残疾类别和等级在范围内 (category and level in scope)",
    unmet="残疾类别和等级不在范围内 (category and level out of scope)",
)
def severity(days: Days, subsidy: Subsidy) -> Bools:
    """By the certificate last held, also while it is lapsed; each component of a multiple disability counts."""
    eras = days.eras.subsidy[subsidy]
    return _bools(((days.disability & eras.disability[days.era]) != 0) & (eras.amount_fen[days.era, days.level] > 0))


@_rule(
    "condition",
    _OPINION,
    met="需要长期照护 (needs long-term care)",
    unmet="不需要长期照护 (no need of long-term care)",
)
def long_term_care(days: Days, subsidy: Subsidy) -> Bools:
    """The township's assessment; without one the policy presumes by level."""
    presumed = (days.eras.presumed_levels[days.era] >> days.level) & 1
    return _bools(((days.care_need == UNASSESSED) & (presumed == 1)) | (days.care_need == 1))


@_rule(
    "exclusion",
    f"notice 2.1; {_OPINION}",
    met="未纳入特困供养 (not in tekun support)",
    unmet="当月纳入特困供养 (in tekun support this month)",
)
def not_in_tekun(days: Days, subsidy: Subsidy) -> Bools:
    return _bools((days.income & days.eras.subsidy[subsidy].excluding_income[days.era]) == 0)


@_rule(
    "exclusion",
    f"notice 2.4; {_OPINION}",
    met="无排斥性待遇 (no excluding benefit)",
    unmet="当月享有排斥性待遇 (an excluding benefit is paid for this month)",
)
def no_excluding_benefit(days: Days, subsidy: Subsidy) -> Bools:
    """Orphan allowance, de-facto unattended child allowance in full, work-injury nursing allowance."""
    return _bools((days.benefits & days.eras.subsidy[subsidy].excluding_benefits[days.era]) == 0)


@_rule(
    "exclusion",
    f"notice 2.2; {_OPINION}",
    met="未享有同类补贴 (no other benefit of its class)",
    unmet="当月享有同类补贴, 只享其一 (another benefit of its class is paid for this month)",
    pauses=True,
)
def one_of_its_class(days: Days, subsidy: Subsidy) -> Bools:
    """Whichever is higher: what another office pays for a month is not paid again."""
    return _bools((days.benefits & days.eras.subsidy[subsidy].same_class[days.era]) == 0)


_SHARED = (alive, not_missing, not_in_prison, resident, certificate_held, certificate_current)
_EXCLUSIONS = (not_in_tekun, no_excluding_benefit, one_of_its_class)

RULES: dict[Subsidy, tuple[Rule, ...]] = {
    "living": (*_SHARED, economic_status, *_EXCLUSIONS),
    "care": (*_SHARED, severity, long_term_care, *_EXCLUSIONS),
}


def judge_all(days: Days) -> dict[Subsidy, list[Bools]]:
    """Whether each row meets each rule, in the order of RULES. What both subsidies share is judged once."""
    shared = {id(rule): rule.judge(days, "living") for rule in _SHARED}
    return {
        subsidy: [shared[id(rule)] if id(rule) in shared else rule.judge(days, subsidy) for rule in rules]
        for subsidy, rules in RULES.items()
    }


def all_met(met: Sequence[Bools]) -> Bools:
    """The rows on which every one of these rules is met."""
    return reduce(np.logical_and, met)


def stacks(days: Days) -> Bools:
    """The rows with a benefit that never reduces either subsidy (notice 2.3, 2.4)."""
    return _bools((days.benefits & _STACKING) != 0)


def _bools(comparison: object) -> Bools:
    return cast(Bools, comparison)  # NumPy's stubs lose the element type of a comparison

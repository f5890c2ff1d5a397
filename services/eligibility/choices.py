"""Where another benefit of a subsidy's class is paid: which of the two is the higher, and what the person chose.

Notice 2.2 (择高申领其中一类). Nothing is paid by a comparison: a month that the other is paid for is never ours.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from libs.common.events.eligibility import BenefitComparison
from libs.common.money import yuan_text
from libs.common.period import Period
from libs.common.vocabulary import BENEFIT_NAMES, SUBSIDY_NAMES, BenefitKind, Subsidy
from services.eligibility.facts import Benefit, Facts, SignedChoice

CITATION = "notice 2.2"

Higher = Literal["ours", "other", "equal", "unknown"]


def compare(
    facts: Facts, subsidy: Subsidy, period: Period, standard_fen: int, same_class: Collection[BenefitKind]
) -> BenefitComparison | None:
    """The comparison for one month; None where no other benefit of the class is paid for it, or where ours would not
    be due anyway (`standard_fen` 0)."""
    beside = [b for b in facts.benefits if b.kind in same_class and _touches(b, period)]
    if not beside or standard_fen <= 0:
        return None
    other = max(beside, key=lambda b: (b.amount_fen, b.kind))
    by_fen = abs(standard_fen - other.amount_fen) if other.amount_fen else 0
    higher = _higher(standard_fen, other.amount_fen)
    choice = last_choice(facts, {other.kind})
    ends = [benefit.to for benefit in beside]
    last = None if None in ends else max(filter(None, ends))
    return BenefitComparison(
        other=other.kind,
        other_fen=other.amount_fen,
        ours_fen=standard_fen,
        higher=higher,
        by_fen=by_fen,
        keep=None if choice is None else choice.keep,
        signed_on=None if choice is None else choice.signed_on,
        ours_from=None if last is None else Period.of(last).plus(1),
        detail=_in_words(subsidy, other, standard_fen, higher, by_fen),
    )


def kept_other(facts: Facts, subsidy: Subsidy, same_class: Collection[BenefitKind]) -> SignedChoice | None:
    """The signed choice by which an application for the subsidy does not stand; None where there is none.

    A choice about a benefit that ended before the last application decides nothing any more.
    """
    choice = last_choice(facts, same_class)
    applied_on = max((a.applied_on for a in facts.applications if a.subsidy == subsidy), default=None)
    if choice is None or choice.keep == "ours" or applied_on is None:
        return None
    of_kind = [benefit for benefit in facts.benefits if benefit.kind == choice.kind]
    ended = bool(of_kind) and all(benefit.to is not None and benefit.to < applied_on for benefit in of_kind)
    return None if ended else choice


def last_choice(facts: Facts, kinds: Collection[BenefitKind]) -> SignedChoice | None:
    """The choice signed last about one of these benefits."""
    signed = [choice for choice in facts.choices if choice.kind in kinds]
    return max(signed, key=lambda choice: choice.signed_on, default=None)


def _higher(ours_fen: int, other_fen: int) -> Higher:
    if not other_fen:
        return "unknown"
    if ours_fen == other_fen:
        return "equal"
    return "ours" if ours_fen > other_fen else "other"


def _touches(benefit: Benefit, period: Period) -> bool:
    return benefit.from_ <= period.last_day and (benefit.to is None or benefit.to >= period.first_day)


def _in_words(subsidy: Subsidy, other: Benefit, ours_fen: int, higher: Higher, by_fen: int) -> str:
    ours, theirs = SUBSIDY_NAMES[subsidy], BENEFIT_NAMES[other.kind]
    beside = f"{ours}每月 {yuan_text(ours_fen)} 元, {theirs}每月 {yuan_text(other.amount_fen)} 元"
    by = yuan_text(by_fen)
    return {
        "ours": f"{beside}: {ours}高 {by} 元 (ours is higher by {by} yuan)",
        "other": f"{beside}: {theirs}高 {by} 元 (the other is higher by {by} yuan)",
        "equal": f"{beside}: 两项相同 (both are equal)",
        "unknown": f"{ours}每月 {yuan_text(ours_fen)} 元, {theirs}金额未知 (the other's amount is not known)",
    }[higher]

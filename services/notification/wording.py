"""Months and lists as messages say them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from libs.common.period import Period
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy


def subsidies_text(subsidies: Iterable[Subsidy]) -> str:
    return "、".join(SUBSIDY_NAMES[subsidy] for subsidy in subsidies)


def month_text(period: Period) -> str:
    return f"{period.year}年{period.month}月"


def months_text(periods: Sequence[Period]) -> str:
    """`2026年3月至5月等` would hide months: a run is named by its ends, several runs by their count as well."""
    first, last = min(periods), max(periods)
    if first == last:
        return month_text(first)
    span = f"{month_text(first)}至{month_text(last)}"
    return span if last.index - first.index + 1 == len(periods) else f"{span}间的{len(periods)}个月"

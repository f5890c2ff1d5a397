"""The bank's free SMS to the payee, and the five items that it must hold (notice 4.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from libs.common.money import fen_from_yuan
from libs.common.period import Period

Item = Literal["subsidy", "amount", "date_paid", "department", "period"]

_AMOUNT = re.compile(r"(?<![\d,.])(\d[\d,]*(?:\.\d{1,2})?)\s*元")


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the SMS of one payment has to say."""

    subsidy: str
    amount_fen: int
    paid_on: date
    department: str
    period: Period


def missing_items(text: str, due: Announcement) -> list[Item]:
    """The items that `text` lacks or states wrongly, in the notice's order; empty when the SMS is right."""
    stated: dict[Item, bool] = {
        "subsidy": due.subsidy in text,
        "amount": due.amount_fen in {fen_from_yuan(amount) for amount in _AMOUNT.findall(text)},
        "date_paid": _day_pattern(due.paid_on).search(text) is not None,
        "department": due.department in text,
        "period": _month_pattern(due.period).search(text) is not None,
    }
    return [item for item, found in stated.items() if not found]


def _day_pattern(day: date) -> re.Pattern[str]:
    """`2026年3月5日`, `2026-03-05`, `2026/3/5`, `2026.03.05` or `20260305`."""
    return re.compile(rf"(?<!\d){day.year}(?:年|[-/.])?0?{day.month}(?:月|[-/.])?0?{day.day}(?!\d)")


def _month_pattern(period: Period) -> re.Pattern[str]:
    """The month by itself, `2026年3月` or `2026-03`: a day within it does not tell the period paid for."""
    return re.compile(rf"(?<!\d){period.year}(?:年0?{period.month}月(?!\d)|[-/.]0?{period.month}(?!\d|[-/.]\d))")

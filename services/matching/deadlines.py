"""Deadlines of matching's work, in calendar months. Working days are counted in `libs/common/working_days.py`."""

from __future__ import annotations

from datetime import date

from libs.common.period import Period


def months_after(day: date, months: int) -> date:
    """The same day of a later month (an earlier one if negative), or that month's last day if it is shorter."""
    period = Period.of(day).plus(months)
    return date(period.year, period.month, min(day.day, period.last_day.day))


def too_close(day: date, others: tuple[tuple[date, date], ...], gap_months: int) -> tuple[date, date] | None:
    """The first of the times `others` (first and last day) that `day` is less than `gap_months` away from."""
    for first, last in others:
        if months_after(day, gap_months) > first and day < months_after(last, gap_months):
            return first, last
    return None

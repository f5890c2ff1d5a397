"""Working days in China, by the State Council's yearly calendar."""

from __future__ import annotations

from datetime import date

import chinese_calendar

from libs.common.period import day_after

VERIFICATION_WORKING_DAYS = 10
"""How long a lead may wait for its verification (核查期限); the default of policy's `finding.verification_days`."""


def working_days_after(day: date, count: int) -> date:
    """The last of `count` working days after `day`."""
    while count > 0:
        day = day_after(day)
        count -= is_working_day(day)
    return day


def is_working_day(day: date) -> bool:
    """As the published calendar says; Monday to Friday in a year whose calendar is not published yet."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5

"""China's working days (工作日), in which deadlines are counted.

The State Council announces each year's public holidays, and the weekends worked in exchange, late in the year before;
`chinesecalendar` holds what was announced. For a year that it lacks, Monday to Friday count as working days: deadlines
over a holiday then come out early, those over a weekend worked in exchange a day late.
"""

from __future__ import annotations

import functools
from datetime import date, timedelta

import chinese_calendar


def is_working_day(day: date) -> bool:
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:  # no calendar for that year
        return day.weekday() < 5


@functools.lru_cache(maxsize=4096)
def working_days_after(start: date, count: int) -> date:
    """The `count`-th working day after `start`; `start` itself is never counted."""
    day = start
    for _ in range(count):
        day += timedelta(days=1)
        while not is_working_day(day):
            day += timedelta(days=1)
    return day

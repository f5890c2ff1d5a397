from __future__ import annotations

from datetime import date

import pytest

from libs.common.working_days import is_working_day, working_days_after


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (date(2026, 3, 2), 3, date(2026, 3, 5)),
        (date(2026, 3, 6), 1, date(2026, 3, 9)),
        (date(2026, 3, 7), 1, date(2026, 3, 9)),
        (date(2026, 2, 13), 1, date(2026, 2, 14)),  # a Saturday worked in exchange for Spring Festival
        (date(2026, 2, 14), 1, date(2026, 2, 24)),  # after Spring Festival
        (date(2026, 9, 30), 1, date(2026, 10, 8)),  # after National Day
    ],
)
def test_deadlines_follow_the_announced_calendar(start: date, count: int, expected: date) -> None:
    assert working_days_after(start, count) == expected


def test_a_year_that_is_not_announced_counts_monday_to_friday() -> None:
    assert is_working_day(date(2099, 10, 1)), "National Day, a Thursday: not known to be free"
    assert working_days_after(date(2099, 1, 2), 1) == date(2099, 1, 5)


def test_a_deadline_may_cross_into_a_year_that_is_not_announced() -> None:
    assert working_days_after(date(2026, 12, 30), 3) == date(2027, 1, 4)

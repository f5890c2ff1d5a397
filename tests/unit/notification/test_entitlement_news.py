from __future__ import annotations

import pytest

from libs.common.period import Period
from services.notification.entitlement_news import News, Run, Told, arrears, look_again, news


def month(text: str) -> Period:
    return Period.parse(text)


MARCH = month("2026-03")


def run(first: str, last: str | None = None, amount_fen: int = 10_000) -> Run:
    return Run(month(first), month(last) if last else None, amount_fen)


def told(amount_fen: int | None, since: str) -> Told:
    return Told(amount_fen, month(since))


def test_the_first_grant_is_no_news_for_the_approval_told_it() -> None:
    assert news(None, [run("2026-02")], MARCH) == (None, told(10_000, "2026-02"))


def test_a_stop_names_the_amount_that_was_paid_last() -> None:
    schedule = [run("2025-06", "2025-12", 9_000), run("2026-01", "2026-03", 11_000)]
    found, _ = news(told(9_000, "2025-06"), schedule, MARCH)
    assert found == News("entitlement_stopped", month("2026-04"), 11_000)


def test_a_stop_is_told_with_the_first_month_without_payment() -> None:
    found, now = news(told(10_000, "2025-06"), [run("2025-06", "2026-03")], MARCH)
    assert found == News("entitlement_stopped", month("2026-04"), 10_000)
    assert now == told(None, "2026-04")


def test_a_stop_found_late_is_told_from_its_own_month_not_from_today() -> None:
    found, _ = news(told(10_000, "2025-06"), [run("2025-06", "2025-12")], MARCH)
    assert found == News("entitlement_stopped", month("2026-01"), 10_000)


def test_a_schedule_that_was_emptied_stops_from_where_it_began() -> None:
    found, _ = news(told(10_000, "2025-06"), [], MARCH)
    assert found == News("entitlement_stopped", month("2025-06"), 10_000)


def test_a_certificate_that_expires_in_years_is_no_news_yet() -> None:
    schedule = [run("2025-06", "2030-08")]
    assert news(told(10_000, "2025-06"), schedule, MARCH) == (None, told(10_000, "2025-06"))
    assert look_again(schedule, MARCH) == month("2030-08")
    found, _ = news(told(10_000, "2025-06"), schedule, month("2030-08"))
    assert found == News("entitlement_stopped", month("2030-09"), 10_000)


def test_a_resumption_is_told_with_its_first_month_and_amount() -> None:
    found, now = news(told(None, "2026-01"), [run("2025-06", "2025-12"), run("2026-03")], MARCH)
    assert found == News("entitlement_resumed", MARCH, 10_000)
    assert now == told(10_000, "2026-03")


def test_a_stop_that_never_was_resumes_from_the_month_it_was_told_for() -> None:
    found, _ = news(told(None, "2026-01"), [run("2025-06")], MARCH)
    assert found == News("entitlement_resumed", month("2026-01"), 10_000)


def test_another_amount_is_told_with_the_month_it_begins_in() -> None:
    schedule = [run("2025-06", "2025-12"), run("2026-01", None, 11_000)]
    assert news(told(10_000, "2025-06"), schedule, MARCH)[0] == News("entitlement_changed", month("2026-01"), 11_000)


@pytest.mark.parametrize(
    "schedule",
    [[], [run("2025-06", "2025-12")], [run("2025-06")], [run("2025-06", "2026-02"), run("2026-06", "2027-01")]],
    ids=["empty", "past", "open", "with a gap"],
)
@pytest.mark.parametrize(
    "before", [None, told(9_000, "2025-01"), told(None, "2025-03")], ids=["new", "paid", "stopped"]
)
def test_the_same_news_is_never_told_twice(before: Told | None, schedule: list[Run]) -> None:
    _, now = news(before, schedule, MARCH)
    assert news(now, schedule, MARCH) == (None, now)


def test_with_nothing_to_come_there_is_no_need_to_look_again() -> None:
    assert look_again([run("2025-06")], MARCH) is None
    assert look_again([run("2025-06", "2026-03")], MARCH) is None


def test_only_months_paid_already_are_paid_more() -> None:
    before, after = [run("2026-01")], [run("2025-12", "2025-12", 9_000), run("2026-01", None, 11_000)]
    assert arrears(before, after, month("2026-02"), {}) == (
        {month("2025-12"): 9_000, month("2026-01"): 1_000, month("2026-02"): 1_000},
        {},
    )
    assert arrears([], [run("2026-04")], MARCH, {}) == ({}, {})


def test_what_a_paid_month_lost_and_regains_is_no_arrears() -> None:
    whole, lower, higher = (
        [run("2026-02")],
        [run("2026-02", "2026-02"), run("2026-03", None, 9_000)],
        [run("2026-02", None, 12_000)],
    )
    due, overpaid = arrears(whole, lower, MARCH, {})
    assert (due, overpaid) == ({}, {MARCH: 1_000})
    assert arrears(lower, whole, MARCH, overpaid) == ({}, {})
    assert arrears(lower, higher, MARCH, overpaid) == ({month("2026-02"): 2_000, MARCH: 2_000}, {})
    assert arrears(lower, [], MARCH, overpaid) == ({}, {month("2026-02"): 10_000, MARCH: 10_000})

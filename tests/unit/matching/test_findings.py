"""Holds, deadlines and the chained ledger, all pure."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from libs.common.auth import Principal
from libs.common.period import Period
from libs.common.working_days import is_working_day, working_days_after
from services.matching.kinds import KINDS, NEVER, hold_from
from services.matching.ledger import broken_at, chain, line


@pytest.mark.parametrize(
    ("kind", "alleged_on", "expected"),
    [
        ("person.died", date(2026, 1, 31), Period(2026, 2)),
        ("person.died", date(2026, 2, 1), Period(2026, 3)),
        ("person.imprisoned", date(2026, 1, 20), Period(2026, 2)),
        ("person.imprisoned", date(2026, 2, 1), Period(2026, 2)),
        ("certificate.expired", date(2026, 3, 15), Period(2026, 4)),
        ("low_income.exited", date(2026, 12, 2), Period(2027, 1)),
        ("benefit.started", date(2026, 3, 15), Period(2026, 3)),
        ("certificate.renewed", date(2026, 3, 15), NEVER),
        ("person.reappeared", date(2026, 3, 15), NEVER),
    ],
)
def test_a_lead_holds_the_first_month_that_would_not_be_payable(kind: str, alleged_on: date, expected: Period) -> None:
    assert hold_from(kind, alleged_on, "serving") == expected


def test_detention_before_trial_holds_nothing() -> None:
    assert hold_from("person.imprisoned", date(2026, 1, 20), "detained") == NEVER


@pytest.mark.parametrize(
    ("role", "sources", "kind", "source"),
    [
        ("partner", ("certificates",), "certificate.expired", "certificates"),
        ("partner", ("deaths",), "certificate.expired", None),
        ("partner", ("cremations",), "person.died", "cremations"),
        ("partner", ("*",), "person.died", "deaths"),
        ("cdpf", (), "certificate.frozen", "certificates"),
        ("cdpf", (), "low_income.exited", None),
        ("civil_affairs", (), "low_income.exited", "low_income"),
        ("civil_affairs", (), "certificate.expired", None),
        ("township", (), "person.died", None),
    ],
)
def test_whose_word_a_fact_is(role: Any, sources: tuple[str, ...], kind: str, source: str | None) -> None:
    assert KINDS[kind].source_for(Principal("someone", role, "530102", sources)) == source


def test_working_days_leave_out_the_spring_festival_and_count_the_saturday_worked_for_it() -> None:
    assert working_days_after(date(2026, 2, 13), 1) == date(2026, 2, 14)
    assert working_days_after(date(2026, 2, 13), 2) == date(2026, 2, 24)


def test_a_year_without_a_published_calendar_counts_monday_to_friday() -> None:
    assert is_working_day(date(2049, 6, 4))
    assert not is_working_day(date(2049, 6, 5))
    assert working_days_after(date(2049, 6, 4), 10) == date(2049, 6, 18)


def exported(*bodies: dict[str, Any]) -> list[str]:
    lines, previous = [], "0" * 64
    for entry in chain(bodies):
        lines.append(line(entry, previous))
        previous = entry.hash
    return lines


def test_a_ledger_holds_together_and_each_tampering_shows() -> None:
    lines = exported(
        {"entry": "comparison"}, {"entry": "findings", "items": [{"kind": "person.died"}]}, {"entry": "counts"}
    )
    assert broken_at(lines) is None
    assert broken_at([lines[0], lines[1].replace("person.died", "person.moved"), lines[2]]) == 1
    assert broken_at([lines[0], lines[2]]) == 1
    assert broken_at([lines[1], lines[0], lines[2]]) == 0


def test_an_entry_that_is_json_already_is_chained_as_it_is_written() -> None:
    first, second = chain([{"entry": "comparison"}, '{"entry": "findings"}'])
    assert second.body == '{"entry": "findings"}'
    assert broken_at([line(first, "0" * 64), line(second, first.hash)]) is None


def test_a_ledger_goes_on_where_it_ended() -> None:
    first = chain([{"entry": "comparison"}])
    more = chain([{"entry": "verification"}], after=first[-1])
    assert more[0].seq == 1
    assert more == chain([{"entry": "comparison"}, {"entry": "verification"}])[1:]

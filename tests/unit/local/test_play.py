from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.local.home import Home
from deploy.local.play.applying import Decided, expected_grants
from deploy.local.play.expectations import Expectations
from deploy.local.play.journal import Journal
from deploy.local.play.parts import cast
from deploy.local.play.paying import PaidMonth
from deploy.local.sample.county import FIRST_PERIOD, County, build_county
from libs.common.period import Period


def first_month(county: County) -> list[Decided]:
    return [
        Decided(person, "a", expected_grants(person))
        for person in county.persons
        if person.applied_on <= FIRST_PERIOD.last_day
    ]


def test_a_hundred_persons_suffice_to_cast_the_story_whatever_the_seed() -> None:
    for seed in range(30):
        county = build_county("530102", 100, seed)
        parts = cast(first_month(county), county.changes, FIRST_PERIOD)
        players = [*parts.unlucky, *parts.expiring, *parts.leaving, parts.accused, parts.steady]
        assert len({player.id_number for player in players}) == 11


def test_nothing_else_happens_to_who_plays_a_part() -> None:
    county = build_county("530102", 1000, 1)
    parts = cast(first_month(county), county.changes, FIRST_PERIOD)
    touched = {change.id_number for change in county.changes}
    players = [*parts.unlucky, *parts.expiring, *parts.leaving, parts.accused, parts.steady]
    assert not touched & {player.id_number for player in players}
    assert all("living" in expected_grants(player) for player in players)
    assert parts.late_deaths
    assert all(death.on <= FIRST_PERIOD.last_day for death in parts.late_deaths)


def test_the_sample_holds_persons_of_every_verdict() -> None:
    grants = {expected_grants(person) for person in build_county("530102", 500, 1).persons}
    assert grants == {(), ("living",), ("care",), ("living", "care")}


def item(person: str, period: str, status: str = "settled") -> dict[str, Any]:
    return {"person_id": person, "subsidy": "living", "period": period, "amount_fen": 100, "status": status}


def test_a_payment_of_an_earlier_month_is_arrears_unless_it_failed_before() -> None:
    month = PaidMonth(Period(2026, 2), "c", frozenset({("p1", "living", "2026-01")}))
    month.payments = [
        item("p1", "2026-01"),
        item("p2", "2026-01"),
        item("p1", "2026-02"),
        item("p3", "2026-02", "failed"),
    ]
    assert [payment["person_id"] for payment in month.reissued()] == ["p1"]
    assert [payment["person_id"] for payment in month.arrears()] == ["p2"]
    assert [payment["person_id"] for payment in month.failed()] == ["p3"]
    assert month.own_months() == {("p1", "living"), ("p3", "living")}
    assert month.paid_fen() == 300


def test_the_journal_goes_on_where_the_last_run_ended_and_keeps_its_county(tmp_path: Path) -> None:
    journal = Journal.open(Home(tmp_path), area="530102", persons=50, seed=1)
    assert journal.next_period == FIRST_PERIOD
    journal.note(["2026-01", "2026-02"])
    again = Journal.open(Home(tmp_path), area="532302", persons=99, seed=2)
    assert (again.area, again.persons, again.seed) == ("530102", 50, 1)
    assert again.next_period == Period(2026, 3)


def test_an_expectation_that_fails_says_what_was_seen_instead() -> None:
    said: list[str] = []
    expectations = Expectations(said.append)
    expectations.equal("months paid", 2, 2)
    expectations.equal("months paid", 2, 3)
    assert expectations.met == 1
    assert expectations.broken == ["months paid: 3; seen: 2"]
    assert said == ["✗ expected: months paid: 3; seen: 2"]

"""Who is a candidate, and the two clocks of notice 1, pure."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.common.parameters import Parameters
from libs.common.vocabulary import SUBSIDIES
from services.matching.deadlines import months_after, too_close
from services.matching.outreach import News, Standing, lapses_after, occasion, remind_by
from services.matching.parameters import BROUGHT

CERTIFIED = Standing(certified=True)


def news(kind: str = "certificate.issued", **changes: Any) -> News:
    fields = {
        "person_id": "p1-a", "kind": kind, "began_on": date(2026, 3, 15), "known_on": date(2026, 3, 31),
        "area": "530102001", "income": "dibao" if kind == "low_income.entered" else None,
    }  # fmt: skip
    return News(**{**fields, **changes})


@pytest.mark.parametrize(
    ("said", "standing", "because"),
    [
        (news(), Standing(), "certified"),
        (news("low_income.entered"), CERTIFIED, "entered_low_income"),
        (news("low_income.entered"), Standing(), None),
        (news("low_income.entered", income="tekun"), CERTIFIED, None),
        (news(), Standing(applies=frozenset(SUBSIDIES)), None),
        (news(), Standing(receives=frozenset(SUBSIDIES)), None),
        (news(), Standing(receives=frozenset({"living"})), "certified"),
        (news("low_income.entered"), Standing(receives=frozenset({"living"}), certified=True), None),
        (news("low_income.entered"), Standing(receives=frozenset({"care"}), certified=True), "entered_low_income"),
        (news("certificate.renewed"), Standing(), None),
        (news(), Standing(dead=True), None),
        (news("certificate.renewed"), Standing(received=frozenset(SUBSIDIES)), "qualifies_again"),
        (news("person.released"), Standing(received=frozenset(SUBSIDIES)), "qualifies_again"),
        (news("certificate.issued"), Standing(received=frozenset(SUBSIDIES)), "qualifies_again"),
        (
            news("certificate.reassessed"),
            Standing(receives=frozenset({"living"}), received=frozenset(SUBSIDIES)),
            "qualifies_again",
        ),
        (
            news("certificate.renewed"),
            Standing(receives=frozenset({"living"}), received=frozenset({"living"})),
            None,
        ),
        (news("low_income.exited", income="tekun"), Standing(received=frozenset({"care"})), "qualifies_again"),
        (news("low_income.exited", income="dibao"), Standing(received=frozenset(SUBSIDIES)), None),
    ],
)
def test_who_is_a_candidate(said: News, standing: Standing, because: str | None) -> None:
    assert occasion(said, standing) == because


@pytest.mark.parametrize(
    ("reminded_on", "last_day"),
    [
        (date(2026, 3, 20), date(2026, 6, 15)),
        (date(2026, 5, 16), date(2026, 6, 15)),
        (date(2026, 5, 17), date(2026, 6, 16)),
        (date(2026, 6, 15), date(2026, 7, 15)),
        (date(2026, 6, 16), None),
    ],
)
def test_the_later_of_three_months_and_thirty_days_but_nothing_after_a_late_reminder(
    reminded_on: date, last_day: date | None
) -> None:
    by = remind_by(date(2026, 3, 15), 3)
    assert by == date(2026, 6, 15)
    assert lapses_after(by, reminded_on, 30) == last_day


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(day: date, months: int, later: date) -> None:
    assert months_after(day, months) == later


def test_a_day_is_a_month_away_when_a_whole_month_lies_between() -> None:
    june = ((date(2026, 6, 1), date(2026, 6, 30)),)
    assert too_close(date(2026, 5, 1), june, 1) is None
    assert too_close(date(2026, 5, 2), june, 1) == june[0]
    assert too_close(date(2026, 7, 29), june, 1) == june[0]
    assert too_close(date(2026, 7, 30), june, 1) is None


def test_the_nearest_layer_decides_from_its_day_on() -> None:
    assert Parameters(BROUGHT).in_force("outreach.deadline_months", "530102", date(2026, 1, 1)).layer == "53"
    assert Parameters(BROUGHT).in_force("outreach.deadline_months", "530102", date(2022, 1, 1)).layer == ""
    assert Parameters(BROUGHT).in_force("outreach.deadline_months", "440106", date(2026, 1, 1)).layer == ""


def test_what_an_area_decided_goes_before_what_the_program_brings() -> None:
    told = Parameters(BROUGHT, {"53": {}, "5301": {"outreach.waiver_days": [(date(2026, 7, 1), 45)]}})
    assert told.number("outreach.waiver_days", "530102001", date(2026, 6, 30)) == 30
    assert told.number("outreach.waiver_days", "530102001", date(2026, 7, 1)) == 45
    assert told.number("outreach.waiver_days", "530302001", date(2026, 7, 1)) == 30
    assert told.by_layer("outreach.waiver_days", date(2026, 7, 1)) == {"": 30, "53": 30, "5301": 45}


def test_every_value_has_its_source_and_how_sure_it_is() -> None:
    assert all(item.source and item.clause and item.confidence in "VKU" for item in BROUGHT)


def test_what_the_policy_of_eligibility_names_as_well_has_the_same_value_there() -> None:
    folder = Path(__file__).parents[3] / "services/eligibility/policy/parameters"
    compared = 0
    for file in folder.rglob("*.yaml"):
        layer = yaml.safe_load(file.read_text("utf-8"))
        for name, entries in (layer.get("parameters") or {}).items():
            ours = [item for item in BROUGHT if item.name == name]
            for entry in entries if ours else ():
                area = "" if layer["layer"] == "nation" else layer["layer"]
                same_layer = [item.value for item in ours if (item.layer, item.since) == (area, entry["since"])]
                assert same_layer == [entry["value"]], f"{name} in {file.name}"
                compared += 1
    assert compared >= 4

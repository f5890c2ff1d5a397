"""How long things may take: what the program brings, and before it what was told of the area's policy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import yaml

from services.intake.parameters import BROUGHT, AreaParameters

POLICY = Path(__file__).parents[3] / "services/eligibility/policy/parameters"


def test_until_anything_is_told_the_program_s_own_values_hold() -> None:
    deadlines = AreaParameters("530102001").deadlines(date(2026, 3, 2))
    assert deadlines.review == {"township": 3, "cdpf": 3, "civil_affairs": 4}
    assert deadlines.completion == 20


def test_what_was_told_holds_from_its_day_on() -> None:
    told = AreaParameters("530102", {"review.cdpf_days": [(date(2016, 1, 1), 3), (date(2026, 7, 1), 5)]})
    assert told.deadlines(date(2026, 6, 30)).review["cdpf"] == 3
    assert told.deadlines(date(2026, 7, 1)).review == {"township": 3, "cdpf": 5, "civil_affairs": 4}


def test_every_value_can_be_set_by_policy_and_is_the_same_there() -> None:
    policy = {
        (name, "" if layer["layer"] == "nation" else layer["layer"], entry["since"]): entry["value"]
        for layer in (yaml.safe_load(file.read_text("utf-8")) for file in POLICY.rglob("*.yaml"))
        for name, entries in (layer.get("parameters") or {}).items()
        for entry in entries
    }
    for ours in BROUGHT:
        assert policy[ours.name, ours.layer, ours.since] == ours.value, ours.name

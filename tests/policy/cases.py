"""The cases that officials can read: facts, an area, a period, and what each subsidy pays for it, in fen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.assessments import GivenFacts
from services.eligibility.determination import Decision, Determination, weighed
from services.eligibility.facts import CareNeed, Facts
from services.eligibility.policy.parameters import PolicySet, read_layer, shipped

_FILES = sorted(Path(__file__).parent.glob("*.yaml"))

_MEMBERS = {"name", "area", "period", "facts", "care_needs", "expect", "unmet", "compared"}


@dataclass(frozen=True)
class Case:
    name: str
    area: str
    period: Period
    facts: Facts
    expect: dict[str, int]
    unmet: dict[str, str]
    compared: dict[str, dict[str, Any]]
    """What the comparison with another benefit of the class says, by subsidy; empty where nothing is compared."""
    policy: PolicySet
    """The sample province, and on it the layers of the case's file."""


def read_cases() -> list[Case]:
    """Every case of every file. `person` of a file's head is what its cases share; a case's own lists replace those.
    `layers` of the head lie on top of the shipped policy."""
    cases = []
    for path in _FILES:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        listed = content if isinstance(content, list) else content["cases"]
        shared: dict[str, Any] = {} if isinstance(content, list) else content["person"]
        layers = [] if isinstance(content, list) else content.get("layers", [])
        on_top = [read_layer(yaml.safe_dump(layer, allow_unicode=True)) for layer in layers]
        policy = shipped().with_layers(on_top) if on_top else shipped()
        cases += [_case(entry, shared, policy) for entry in listed]
    return cases


def decisions_of(case: Case, judged: Determination, position: int = 0) -> dict[Subsidy, Decision]:
    """What the case's person is told of both subsidies, being the one at a position of what was judged."""
    decisions = {s: judged.decision(position, s, case.period, case.area) for s in SUBSIDIES}
    return {s: weighed(decision, case.facts, case.period, case.policy) for s, decision in decisions.items()}


def _case(entry: dict[str, Any], shared: dict[str, Any], policy: PolicySet) -> Case:
    assert not set(entry) - _MEMBERS, entry  # a name with a comma in it needs quotes
    area = entry.get("area", "530102")
    given = GivenFacts.model_validate({**shared, **entry.get("facts", {})})
    facts = given.as_facts(area)
    if "care_needs" in entry:  # assessed more than once, which an assessment by REST cannot say
        needs = (CareNeed(need["needed"], need["from"], need.get("to")) for need in entry["care_needs"])
        facts = replace(facts, care_needs=tuple(needs))
    return Case(
        name=entry["name"],
        area=area,
        period=Period.parse(str(entry["period"])),
        facts=facts,
        expect=entry["expect"],
        unmet=entry.get("unmet", {}),
        compared={s: {k: _as_json(v) for k, v in told.items()} for s, told in entry.get("compared", {}).items()},
        policy=policy,
    )


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value

"""The cases that officials can read: facts, an area, a period, and what each subsidy pays for it, in fen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from libs.common.period import Period
from services.eligibility.assessments import GivenFacts
from services.eligibility.facts import CareNeed, Facts
from services.eligibility.policy.parameters import PolicySet, read_layer, shipped

_FILES = sorted(Path(__file__).parent.glob("*.yaml"))


@dataclass(frozen=True)
class Case:
    name: str
    area: str
    period: Period
    facts: Facts
    expect: dict[str, int]
    unmet: dict[str, str]
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


def _case(entry: dict[str, Any], shared: dict[str, Any], policy: PolicySet) -> Case:
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
        policy=policy,
    )

"""What a reviewer should look at twice: facts that contradict each other, and other persons who look like this one.

Neither stops anything: they are shown, and a person judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from libs.common.events.intake import ApplicationFacts
from libs.common.identity import mask_name, same_name
from services.intake.persons import Person

Field = Literal["name", "area", "certificate", "low_income"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """What this application says of `field`, and what `known_from` says."""

    field: Field
    declared: str
    known: str
    known_from: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says of a person: an application, or what was approved. `source` names it to a reader."""

    source: str
    name: str
    area: str
    facts: ApplicationFacts


def conflicts(declared: Statement, others: Sequence[Statement]) -> list[Conflict]:
    """Where `declared` contradicts the others. What one of the two leaves open is no contradiction."""
    found: list[Conflict] = []
    for other in others:
        if not same_name(declared.name, other.name):
            found.append(Conflict("name", mask_name(declared.name), mask_name(other.name), other.source))
        if declared.area[:6] != other.area[:6]:
            found.append(Conflict("area", declared.area, other.area, other.source))
        ours, theirs = _certificate(declared.facts), _certificate(other.facts)
        if ours and theirs and ours != theirs:
            found.append(Conflict("certificate", ours, theirs, other.source))
        ours, theirs = _low_income(declared.facts), _low_income(other.facts)
        if ours and theirs and ours != theirs:
            found.append(Conflict("low_income", ours, theirs, other.source))
    return found


def as_approved(person: Person) -> Statement:
    """What intake holds of a person from the last approval."""
    facts = ApplicationFacts(certificate=person.certificate, residence_area=person.area)
    return Statement("last approval", person.name, person.area, facts)


def _certificate(facts: ApplicationFacts) -> str:
    certificate = facts.certificate
    return f"{certificate.category} {certificate.level}" if certificate else ""


def _low_income(facts: ApplicationFacts) -> str:
    return facts.low_income.category if facts.low_income else ""

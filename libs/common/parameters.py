"""Dated parameters by area: what a service brings along, and over it what eligibility tells of each area's policy.

A service brings its own in a `parameters.csv`, each row with its unit, its source and how sure that is: V text was
found, K general knowledge, U uncertain. Area `00` stands for the nation. Names that eligibility's policy has as well
carry the same values there; tests of the services hold the two together.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

_NATION = "00"

Values = Mapping[str, Sequence[tuple[date, Any]]]
"""By name: the values with the days that they hold from, the last one last."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of one name, in force at its layer (an area, empty for the nation) from `since` on."""

    name: str
    layer: str
    since: date
    value: Any
    unit: str
    source: str
    clause: str
    confidence: str


@dataclass(frozen=True)
class Parameters:
    """What a service brought, and over it what was told of each area's policy.

    What is told of an area has the layers above it in it already; an area of which nothing is told follows the nearest
    around it.
    """

    brought: Sequence[Parameter]
    told: Mapping[str, Values] = field(default_factory=dict, repr=False)

    def in_force(self, name: str, area: str, on: date) -> Parameter:
        """The parameter that holds in `area` on that day. LookupError where there is none."""
        held = [item for item in self.brought if item.name == name and item.since <= on and area.startswith(item.layer)]
        if not held:
            raise LookupError(f"no parameter {name} for {area!r} on {on}")
        brought = max(held, key=lambda item: (len(item.layer), item.since))
        nearest = max((told for told in self.told if area.startswith(told)), key=len, default=None)
        said = None if nearest is None else said_by(self.told[nearest], name, on)
        if nearest is None or said is None or said[1] == brought.value:
            return brought
        since, value = said
        return replace(brought, layer=nearest, since=since, value=value, source="policy.changed", clause="")

    @property
    def layers(self) -> frozenset[str]:
        """The areas that have a value of their own of anything; others follow the nearest around them."""
        return frozenset({item.layer for item in self.brought} | set(self.told))

    def over_time(self, name: str, area: str) -> list[tuple[date, Any]]:
        """Every value that `area` had, has or is known to get, with the day that it holds from."""
        days = {item.since for item in self.brought if item.name == name and area.startswith(item.layer)}
        for layer, told in self.told.items():
            if area.startswith(layer):
                days |= {since for since, _ in told.get(name, ())}
        return [(day, self.in_force(name, area, day).value) for day in sorted(days)]

    def number(self, name: str, area: str, on: date) -> int:
        """The value, where it is a count of days, months or years, or an hour."""
        return int(self.in_force(name, area, on).value)

    def all_in_force(self, area: str, on: date) -> list[Parameter]:
        """Every parameter as it holds in `area` on that day, by name."""
        return [self.in_force(name, area, on) for name in sorted({i.name for i in self.brought if i.since <= on})]

    def by_layer(self, name: str, on: date) -> dict[str, int]:
        """A number as each layer has it, for queries over many areas at once."""
        brought = {item.layer for item in self.brought if item.name == name and item.since <= on}
        return {layer: self.number(name, layer, on) for layer in {*brought, *self.told}}


def said_by(values: Values, name: str, on: date) -> tuple[date, Any] | None:
    """Of what was told of an area, the value in force on that day and the day it holds from; None: nothing was told."""
    said = [entry for entry in values.get(name, ()) if entry[0] <= on]
    return said[-1] if said else None


def values_told(told: Sequence[Mapping[str, Any]]) -> Values:
    """The values of a `policy.changed` event, by name and in the order of their days."""
    values: dict[str, list[tuple[date, Any]]] = {}
    for entry in sorted(told, key=lambda entry: str(entry["since"])):
        values.setdefault(entry["parameter"], []).append((date.fromisoformat(entry["since"]), entry["value"]))
    return values


def read_parameters(file: Path) -> tuple[Parameter, ...]:
    """The rows of a `parameters.csv`: name, area, since, value (as JSON), unit, confidence, source, clause."""
    with file.open(encoding="utf-8", newline="") as lines:
        return tuple(
            Parameter(
                name=row["name"],
                layer="" if row["area"] == _NATION else row["area"],
                since=date.fromisoformat(row["since"]),
                value=json.loads(row["value"]),
                unit=row["unit"],
                source=row["source"],
                clause=row["clause"],
                confidence=row["confidence"],
            )
            for row in csv.DictReader(lines)
        )

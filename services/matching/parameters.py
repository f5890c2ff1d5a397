"""The days, months and ages of matching's duties: dated values, each of an area and with its source.

What the program brings stands in `parameters.yaml`; what eligibility tells of an area's policy goes before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("parameters.yaml")


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
class ParameterSet:
    """What the program brings, and over it what was told of each area's policy (area → name → values by their day).

    What is told of an area has the layers above it in it already; an area of which nothing is told follows the nearest
    around it.
    """

    told: Mapping[str, Mapping[str, Sequence[tuple[date, Any]]]] = field(default_factory=dict)

    def in_force(self, name: str, area: str, on: date) -> Parameter:
        """The value that holds in `area` on that day."""
        held = [item for item in shipped() if item.name == name and item.since <= on and area.startswith(item.layer)]
        if not held:
            raise LookupError(f"no parameter {name} for {area!r} on {on}")
        brought = max(held, key=lambda item: (len(item.layer), item.since))
        nearest = max((layer for layer in self.told if area.startswith(layer)), key=len, default=None)
        if nearest is None:
            return brought
        said = [entry for entry in self.told[nearest].get(name, ()) if entry[0] <= on]
        if not said:
            return brought
        since, value = max(said, key=lambda entry: entry[0])
        if value == brought.value:
            return brought
        return replace(brought, layer=nearest, since=since, value=value, source="policy.changed", clause="")

    def number(self, name: str, area: str, on: date) -> int:
        """The value, where it is a count of days, months or years."""
        return int(self.in_force(name, area, on).value)

    def all_in_force(self, area: str, on: date) -> list[Parameter]:
        """Every parameter as it holds in `area` on that day, by name."""
        return [self.in_force(name, area, on) for name in sorted({i.name for i in shipped() if i.since <= on})]

    def by_layer(self, name: str, on: date) -> dict[str, int]:
        """A number as each layer has it, for queries over many areas at once."""
        brought = {item.layer for item in shipped() if item.name == name and item.since <= on}
        return {layer: self.number(name, layer, on) for layer in {*brought, *self.told}}


@lru_cache(maxsize=1)
def shipped() -> tuple[Parameter, ...]:
    """The parameters that come with the program."""
    content = yaml.safe_load(_FILE.read_text("utf-8"))
    return tuple(
        Parameter(name=name, layer="" if layer["layer"] == "nation" else layer["layer"], **entry)
        for layer in content["layers"]
        for name, entries in layer["parameters"].items()
        for entry in entries
    )

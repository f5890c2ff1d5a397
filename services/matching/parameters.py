"""The days, months and ages of matching's duties: dated values, each of an area and with its source."""

from __future__ import annotations

from dataclasses import dataclass
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


def in_force(name: str, area: str, on: date) -> Parameter:
    """The value that holds in `area` on that day: that of the nearest layer around it."""
    held = [item for item in shipped() if item.name == name and item.since <= on and area.startswith(item.layer)]
    if not held:
        raise LookupError(f"no parameter {name} for {area!r} on {on}")
    return max(held, key=lambda item: (len(item.layer), item.since))


def number(name: str, area: str, on: date) -> int:
    """The value, where it is a count of days, months or years."""
    return int(in_force(name, area, on).value)


def all_in_force(area: str, on: date) -> list[Parameter]:
    """Every parameter as it holds in `area` on that day, by name."""
    return [in_force(name, area, on) for name in sorted({item.name for item in shipped() if item.since <= on})]


def by_layer(name: str, on: date) -> dict[str, int]:
    """A number as each layer has it, for queries over many areas at once."""
    layers = {item.layer for item in shipped() if item.name == name and item.since <= on}
    return {layer: number(name, layer, on) for layer in layers}


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

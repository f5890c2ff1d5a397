"""How long things may take: dated values of an area, each with its source.

What the program brings stands in `parameters.csv` (an area's own row outranks those of the areas above it; `00` stands
for the nation); what eligibility tells of an area's policy goes before it.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from libs.common.vocabulary import STAGES, Stage

_NATION = "00"

Told = Mapping[str, Sequence[tuple[date, Any]]]
"""The values of each name with the days that they hold from, the last one last."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Working days for each review stage, and for the applicant to complete what was returned."""

    review: dict[Stage, int]
    completion: int


@dataclass(frozen=True)
class Parameters:
    """What holds in `area`: `told` of its policy or the nearest around it, the layers above already in it, and else
    what the program brings."""

    area: str
    told: Told = field(default_factory=dict, repr=False)

    def value(self, name: str, on: date) -> Any:
        """The value in force on that day."""
        said = self.find(name, on)
        return _brought(name, self.area, on) if said is None else said

    def find(self, name: str, on: date) -> Any | None:
        """The value that was told and is in force on that day, None where nothing was told."""
        said = [value for since, value in self.told.get(name, ()) if since <= on]
        return said[-1] if said else None

    def days(self, name: str, on: date) -> int:
        """The value, where it is a count of days or years."""
        return int(self.value(name, on))

    def deadlines(self, on: date) -> Deadlines:
        return Deadlines(
            review={stage: self.days(f"review.{stage}_days", on) for stage in STAGES},
            completion=self.days("application.completion_days", on),
        )

    def hotline(self, on: date) -> str:
        """Where the public may call."""
        return str(self.value("hotline.number", on))


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    area: str
    since: date
    value: int


def _brought(name: str, area: str, on: date) -> int:
    applying = [
        parameter
        for parameter in shipped()
        if parameter.name == name and parameter.since <= on and area.startswith(parameter.area)
    ]
    return max(applying, key=lambda parameter: (len(parameter.area), parameter.since)).value


@functools.cache
def shipped() -> tuple[Parameter, ...]:
    """The parameters that come with the program."""
    with (Path(__file__).parent / "parameters.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Parameter(
                name=row["name"],
                area="" if row["area"] == _NATION else row["area"],
                since=date.fromisoformat(row["since"]),
                value=int(row["value"]),
            )
            for row in csv.DictReader(file)
        )

"""How long things may take, as it holds in one area."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from libs.common.parameters import Parameters, Values, read_parameters, said_by
from libs.common.vocabulary import STAGES, Stage

BROUGHT = read_parameters(Path(__file__).with_name("parameters.csv"))


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Working days for each review stage, and for the applicant to complete what was returned."""

    review: dict[Stage, int]
    completion: int


@dataclass(frozen=True)
class AreaParameters:
    """What holds in `area`: `told` of its policy or the nearest around it, the layers above already in it, and else
    what the program brings."""

    area: str
    told: Values = field(default_factory=dict, repr=False)

    def value(self, name: str, on: date) -> Any:
        """The value in force on that day."""
        told = said_by(self.told, name, on)
        return told[1] if told else _brought(name, self.area, on)

    def find(self, name: str, on: date) -> Any | None:
        """The value that was told and is in force on that day, None where nothing was told."""
        said = said_by(self.told, name, on)
        return said and said[1]

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


@functools.lru_cache(maxsize=1024)
def _brought(name: str, area: str, on: date) -> Any:
    return Parameters(BROUGHT).in_force(name, area, on).value

"""How long things may take: dated parameters by area, each with its source, in `parameters.csv`.

An area's own row outranks those of the areas above it; `00` stands for the nation. Of one area, the last row that began
on or before the day counts.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from libs.common.vocabulary import STAGES, Stage

_NATION = "00"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Working days for each review stage, and for the applicant to complete what was returned."""

    review: dict[Stage, int]
    completion: int


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    area: str
    since: date
    value: int


def deadlines_of(area: str, on: date) -> Deadlines:
    """The deadlines in force in `area` on that day."""
    return Deadlines(
        review={stage: _value(f"review.{stage}", area, on) for stage in STAGES},
        completion=_value("completion", area, on),
    )


def days_of(name: str, area: str, on: date) -> int:
    """How many days (or, of `archive.retention`, years) a step may take in `area`, as of that day."""
    return _value(name, area, on)


def hotline_of(area: str, on: date) -> str:
    """Where the public may call about what is put up in `area`."""
    return str(_value("hotline", area, on))


def _value(name: str, area: str, on: date) -> int:
    applying = [
        parameter
        for parameter in _table()
        if parameter.name == name and parameter.since <= on and area.startswith(parameter.area)
    ]
    return max(applying, key=lambda parameter: (len(parameter.area), parameter.since)).value


@functools.cache
def _table() -> tuple[_Parameter, ...]:
    with (Path(__file__).parent / "parameters.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            _Parameter(
                name=row["name"],
                area="" if row["area"] == _NATION else row["area"],
                since=date.fromisoformat(row["since"]),
                value=int(row["value"]),
            )
            for row in csv.DictReader(file)
        )

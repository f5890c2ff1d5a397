"""Hours, days and months of notices: dated parameters by area, each with its source.

What the program brings stands in `parameters.csv`: an area's own row outranks those of the areas above it (`00` stands
for the nation), and of one area the last row that began on or before the day counts. What eligibility tells of an
area's policy goes before it.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from libs.common.period import SHANGHAI

_NATION = "00"

Name = Literal[
    "quiet.from",
    "quiet.until",
    "sms.unsent",
    "sms.unconfirmed",
    "expiry.first",
    "expiry.last",
    "phone.remembered",
    "remedy.reconsideration",
    "remedy.litigation",
]


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    area: str
    since: date
    value: int


Told = Mapping[str, Mapping[Name, Sequence[tuple[date, int]]]]
"""By area, and by name: the values with the days that they hold from, the last one last."""


@dataclass(frozen=True)
class Parameters:
    """What the program brings, and over it what was told of each area's policy, which has the layers above it in it
    already; an area of which nothing is told follows the nearest around it."""

    told: Told = field(default_factory=dict)

    def value_of(self, name: Name, area: str, on: date) -> int:
        """The value in force in `area` on that day."""
        nearest = max((told for told in self.told if area.startswith(told)), key=len, default=None)
        said = () if nearest is None else self.told[nearest].get(name, ())
        held = [value for since, value in said if since <= on]
        return held[-1] if held else _brought(name, area, on)

    def by_area(self, name: Name, on: date) -> dict[str, int]:
        """The value of each area that may have one of its own (empty: the nation), for queries over many areas."""
        areas = {item.area for item in _table() if item.name == name}
        return {area: self.value_of(name, area, on) for area in areas.union(self.told)}

    def quiet_until(self, now: datetime, area: str) -> datetime | None:
        """When texts may go to `area` again; None while they may. Equal hours are no quiet hours."""
        local = now.astimezone(SHANGHAI)
        begins, ends = (time(self.value_of(name, area, local.date())) for name in ("quiet.from", "quiet.until"))
        at = local.time()
        if begins <= ends:
            is_quiet, next_day = begins <= at < ends, False
        else:
            is_quiet, next_day = at >= begins or at < ends, at >= begins
        if not is_quiet:
            return None
        return datetime.combine(local.date() + timedelta(days=next_day), ends, SHANGHAI)


def _brought(name: Name, area: str, on: date) -> int:
    applying = [item for item in _table() if item.name == name and item.since <= on and area.startswith(item.area)]
    return max(applying, key=lambda item: (len(item.area), item.since)).value


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

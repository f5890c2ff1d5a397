"""Hours, days and months of notices: dated parameters by area, each with its source, in `parameters.csv`.

An area's own row outranks those of the areas above it; `00` stands for the nation. Of one area, the last row that began
on or before the day counts.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
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


def value_of(name: Name, area: str, on: date) -> int:
    """The value in force in `area` on that day."""
    applying = [item for item in _table() if item.name == name and item.since <= on and area.startswith(item.area)]
    return max(applying, key=lambda item: (len(item.area), item.since)).value


def by_area(name: Name, on: date) -> dict[str, int]:
    """The value of each area that has one of its own (empty: the nation), for queries over many areas at once."""
    return {area: value_of(name, area, on) for area in {item.area for item in _table() if item.name == name}}


def quiet_until(now: datetime, area: str) -> datetime | None:
    """When texts may go to `area` again; None while they may. Equal hours are no quiet hours."""
    local = now.astimezone(SHANGHAI)
    begins, ends = (time(value_of(name, area, local.date())) for name in ("quiet.from", "quiet.until"))
    at = local.time()
    if begins <= ends:
        is_quiet, next_day = begins <= at < ends, False
    else:
        is_quiet, next_day = at >= begins or at < ends, at >= begins
    if not is_quiet:
        return None
    return datetime.combine(local.date() + timedelta(days=next_day), ends, SHANGHAI)


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

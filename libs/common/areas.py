"""Areas: GB/T 2260 codes, where a code covers everything below it (53 ⊃ 5301 ⊃ 530102 ⊃ 530102001).

An area is a plain `str` prefix. The table in `areas.csv` only names: a code that it does not hold is as good as any.
"""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

Level = Literal["province", "prefecture", "county", "township", "village"]

_LENGTHS: dict[int, Level] = {2: "province", 4: "prefecture", 6: "county", 9: "township", 12: "village"}
_CODE = re.compile(r"^[1-9]\d+$", re.ASCII)


class NotAnArea(ValueError):
    """区划代码应为 2、4、6、9 或 12 位 (an area is a GB/T 2260 code of so many digits)."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def parse_area(text: str) -> str:
    """The prefix that `text` stands for; the zeros of a higher level go: `530100` → `5301`, `530102000` → `530102`.

    Raises `NotAnArea` for what is not well-formed; whether the code was ever assigned is not asked.
    """
    code = text.strip()
    if not _CODE.match(code) or len(code) not in _LENGTHS:
        raise NotAnArea
    for shorter in (9, 6, 4, 2):
        if len(code) > shorter and set(code[shorter:]) == {"0"}:
            code = code[:shorter]
    return code


Area = Annotated[
    str, Field(examples=["530102"], description="GB/T 2260 code; covers all below it"), AfterValidator(parse_area)
]


def level_of(area: str) -> Level:
    """The level of a parsed area."""
    return _LENGTHS[len(area)]


def contains(area: str, code: str) -> bool:
    """Whether `code` is `area` or lies below it; both parsed."""
    return code.startswith(area)


def county_of(area: str) -> str | None:
    """The county that a parsed area is or lies in; None above counties."""
    return area[:6] if len(area) >= 6 else None


def lineage(area: str) -> list[str]:
    """The parsed area and everything above it, highest first: `530102` → `53, 5301, 530102`."""
    return [area[:length] for length in _LENGTHS if length <= len(area)]


def name_of(area: str, on: date) -> str:
    """The area's own name on that day; a code that has none then stands for itself."""
    return _names_on(on).get(area, area)


def full_name_of(area: str, on: date) -> str:
    """The names from the province down: `云南省昆明市五华区`."""
    return "".join(name_of(code, on) for code in lineage(area))


def areas_below(area: str, level: Level, on: date) -> list[str]:
    """The codes of that level in the table, on that day, in `area`; sorted."""
    return sorted(code for code in _names_on(on) if level_of(code) == level and contains(area, code))


@dataclass(frozen=True, slots=True)
class NamedArea:
    """One row of the table: a code had this name from `since` to `until`, both included, open if None."""

    code: str
    name: str
    level: str
    parent: str
    since: date | None
    until: date | None
    source: str
    note: str


@functools.cache
def table() -> tuple[NamedArea, ...]:
    """The dated table, by code. Dates known to the year only stand for that year's first or last day."""
    with (Path(__file__).parent / "areas.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            NamedArea(
                code=row["code"],
                name=row["name"],
                level=row["level"],
                parent=row["parent"],
                since=_day(row["since"], "-01-01"),
                until=_day(row["until"], "-12-31"),
                source=row["source"],
                note=row["note"],
            )
            for row in csv.DictReader(file)
        )


def _day(text: str, rest_of_year: str) -> date | None:
    if not text:
        return None
    return date.fromisoformat(text if len(text) > 4 else text + rest_of_year)


@functools.lru_cache(maxsize=64)
def _names_on(on: date) -> dict[str, str]:
    return {
        row.code: row.name
        for row in table()
        if (row.since is None or row.since <= on) and (row.until is None or on <= row.until)
    }

"""Periods: the calendar months that subsidies are paid for.

Inside the system a month is a `Period`, never a string; at the edges it is `YYYY-MM`.
"""

from __future__ import annotations

import calendar
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
"""Days that somebody can mean. Counting on from later ones leaves what dates can hold."""
Day = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]
BEGINNING = date(2016, 1, 1)
"""Of the two subsidies (国发〔2015〕52号): no duty, comparison or daily run lies before it."""
DutyDay = Annotated[date, Field(ge=BEGINNING, le=LAST_DAY)]
_TEXT = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class Period:
    """One calendar month, e.g. `Period(2026, 3)`; as text `2026-03`. Ordered, hashable."""

    year: int
    month: int

    def __post_init__(self) -> None:
        if not (1 <= self.month <= 12 and 1900 <= self.year <= 9999):
            raise ValueError(f"not a period: year {self.year}, month {self.month}")

    @classmethod
    def parse(cls, text: str) -> Period:
        """The period written as `YYYY-MM`; ValueError names the text otherwise."""
        return _parsed(text)

    @classmethod
    def of(cls, day: date) -> Period:
        """The period that `day` lies in."""
        return cls(day.year, day.month)

    @classmethod
    def from_index(cls, index: int) -> Period:
        """The inverse of `index`."""
        return _at(index)

    @property
    def index(self) -> int:
        """Months since year 0: consecutive integers for consecutive months."""
        return self.year * 12 + self.month - 1

    @property
    def first_day(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def last_day(self) -> date:
        return date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    def plus(self, months: int) -> Period:
        return Period.from_index(self.index + months)

    @property
    def next(self) -> Period:
        return self.plus(1)

    @property
    def previous(self) -> Period:
        return self.plus(-1)

    def through(self, last: Period) -> Iterator[Period]:
        """Every period from this one to `last`, both included."""
        for index in range(self.index, last.index + 1):
            yield Period.from_index(index)

    def __contains__(self, day: date) -> bool:
        return (day.year, day.month) == (self.year, self.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def _from_python(cls, value: Any) -> Period:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        raise ValueError("应为月份，如 2026-03 (not a period, YYYY-MM)")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema()),
            python_schema=core_schema.no_info_plain_validator_function(cls._from_python),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json-unless-none"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": _TEXT.pattern, "examples": ["2026-03"]}


@functools.lru_cache(maxsize=2048)
def _at(index: int) -> Period:
    return Period(index // 12, index % 12 + 1)


@functools.lru_cache(maxsize=2048)
def _parsed(text: str) -> Period:
    """Cached, for events are full of months and there are few."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("应为月份，如 2026-03 (not a period, YYYY-MM)")
    return Period(int(match[1]), int(match[2]))


def business_date(moment: datetime) -> date:
    """The Asia/Shanghai calendar date of an aware `moment`."""
    if moment.tzinfo is None:
        raise ValueError("a moment must carry its time zone")
    return moment.astimezone(SHANGHAI).date()


def day_after(day: date) -> date:
    return day + timedelta(days=1)

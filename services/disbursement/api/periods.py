"""Periods at the edge: FastAPI would look for a value class in the body, and take it apart in an untyped answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query

from libs.common.errors import InvalidInput
from libs.common.period import Period

_Text = Annotated[str, Query(examples=["2026-03"], max_length=7, description="YYYY-MM")]
_OptionalText = Annotated[str | None, Query(examples=["2026-03"], max_length=7, description="YYYY-MM")]


def parse_period(text: str, place: str) -> Period:
    """InvalidInput names the place (`query.period`)."""
    try:
        return Period.parse(text)
    except ValueError as error:
        raise InvalidInput.at(place, "应为月份，如 2026-03 (not a period, YYYY-MM)") from error


def _period(period: _Text) -> Period:
    return parse_period(period, "query.period")


def _period_if_given(period: _OptionalText = None) -> Period | None:
    return parse_period(period, "query.period") if period is not None else None


def _through_if_given(through: _OptionalText = None) -> Period | None:
    return parse_period(through, "query.through") if through is not None else None


InPeriod = Annotated[Period, Depends(_period)]
MaybePeriod = Annotated[Period | None, Depends(_period_if_given)]
MaybeThrough = Annotated[Period | None, Depends(_through_if_given)]


def written(value: Any) -> Any:
    """An answer's rows with every period as `YYYY-MM`."""
    if isinstance(value, Period):
        return str(value)
    if isinstance(value, dict):
        return {name: written(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    return value

"""Periods as query parameters: FastAPI would look for a value class in the body."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from libs.common.errors import InvalidInput
from libs.common.period import Period

_Text = Annotated[str, Query(examples=["2026-03"], max_length=7, description="YYYY-MM")]
_OptionalText = Annotated[str | None, Query(examples=["2026-03"], max_length=7, description="YYYY-MM")]


def _parse(text: str, name: str) -> Period:
    try:
        return Period.parse(text)
    except ValueError as error:
        raise InvalidInput.at(f"query.{name}", "not a period (YYYY-MM)") from error


def _period(period: _Text) -> Period:
    return _parse(period, "period")


def _period_if_given(period: _OptionalText = None) -> Period | None:
    return _parse(period, "period") if period is not None else None


def _through_if_given(through: _OptionalText = None) -> Period | None:
    return _parse(through, "through") if through is not None else None


InPeriod = Annotated[Period, Depends(_period)]
MaybePeriod = Annotated[Period | None, Depends(_period_if_given)]
MaybeThrough = Annotated[Period | None, Depends(_through_if_given)]

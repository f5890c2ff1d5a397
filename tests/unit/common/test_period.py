"""Periods at the edges of the system."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from libs.common.period import Period


class Asked(BaseModel):
    period: Period


@pytest.mark.parametrize(
    "odd", ["2026-13", "2026-00", "0000-01", "2026-3", "２０２６-03", "2026-03\n", 202603, None, []]
)
def test_what_is_no_period_is_refused_at_its_field(odd: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Asked.model_validate({"period": odd})
    assert [error["loc"] for error in refused.value.errors()] == [("period",)]


def test_a_period_is_read_as_text_and_as_itself() -> None:
    march = Period(2026, 3)
    assert Asked.model_validate({"period": "2026-03"}).period == march
    assert Asked(period=march).model_dump_json() == '{"period":"2026-03"}'

"""What people read who filled in a field wrong: Chinese for every kind of error that our APIs can answer with."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from libs.common.areas import Area
from libs.common.mistakes import mistakes
from libs.common.period import Period


class Inner(BaseModel):
    name: str


class Asked(BaseModel):
    """A field of each kind that bodies and queries have."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z]+$")] = "abc"
    whole: Annotated[int, Field(ge=1, le=9, multiple_of=2)] = 2
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    yes: bool = True
    day: date = date(2026, 3, 1)
    at: AwareDatetime = datetime.fromisoformat("2026-03-01T00:00:00+08:00")
    moment: datetime | None = None
    id: UUID | None = None
    word: Literal["living", "care"] = "care"
    some: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    pair: tuple[int, ...] = ()
    any_of: dict[str, int] = {}
    inner: Inner | None = None
    area: Area | None = None
    period: Period | None = None


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"text": 1}, "text", "应为文字"),
    ({"text": "a"}, "text", "至少 2 个字符"),
    ({"text": "abcde"}, "text", "最多 4 个字符"),
    ({"text": "A1"}, "text", "格式不符"),
    ({"whole": "x"}, "whole", "应为整数"),
    ({"whole": 1.5}, "whole", "应为整数"),
    ({"whole": []}, "whole", "应为整数"),
    ({"whole": "9" * 5000}, "whole", "数字过大"),
    ({"whole": 0}, "whole", "应不小于 1"),
    ({"whole": 10}, "whole", "应不大于 9"),
    ({"whole": 3}, "whole", "应为 2 的倍数"),
    ({"share": "x"}, "share", "应为数字"),
    ({"share": float("inf")}, "share", "应为有限的数字"),
    ({"share": 0}, "share", "应大于 0.0"),
    ({"share": 1}, "share", "应小于 1.0"),
    ({"yes": "perhaps"}, "yes", "应为是或否"),
    ({"day": "2026-02-30"}, "day", "应为日期，如 2026-03-31"),
    ({"day": "2026-03-01T05:00:00"}, "day", "应为日期，不带时刻"),
    ({"day": []}, "day", "应为日期，如 2026-03-31"),
    ({"at": "2026-03-01T00:00:00"}, "at", "时刻须带时区"),
    ({"moment": "soon"}, "moment", "应为日期和时刻"),
    ({"id": "7"}, "id", "应为编号（UUID）"),
    ({"word": "other"}, "word", "不在可选范围内"),
    ({"some": []}, "some", "至少 1 项"),
    ({"some": [1, 2, 3]}, "some", "最多 2 项"),
    ({"some": 1}, "some", "应为列表"),
    ({"some": ["x"]}, "some.0", "应为整数"),
    ({"pair": 1}, "pair", "应为列表"),
    ({"any_of": 1}, "any_of", "应为一组字段"),
    ({"inner": 1}, "inner", "应为一组字段"),
    ({"inner": {}}, "inner.name", "此项必填"),
    ({"other": 1}, "other", "没有这一项"),
    ({"area": "1"}, "area", "区划代码应为 2、4、6、9 或 12 位"),
    ({"period": "2026"}, "period", "应为月份，如 2026-03"),
]


@pytest.mark.parametrize(("given", "path", "sentence"), WRONG)
def test_a_mistake_is_told_in_chinese_with_its_field_and_the_english_behind(
    given: dict[str, Any], path: str, sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Asked.model_validate(given)
    [mistake] = mistakes(refused.value.errors())
    assert mistake["path"] == path
    assert re.fullmatch(rf"{re.escape(sentence)} \(.+\)\.?", mistake["message"], re.DOTALL)


def test_a_body_that_is_no_object_is_told_too() -> None:
    with pytest.raises(ValidationError) as refused:
        Asked.model_validate(1)
    [mistake] = mistakes(refused.value.errors())
    assert mistake["message"].startswith("应为一组字段 (")


def test_a_kind_that_nobody_thought_of_is_told_as_a_mistake() -> None:
    told = mistakes([{"type": "time_parsing", "loc": ("body", "at"), "msg": "Input should be a valid time"}])
    assert told == [{"path": "at", "message": "填写有误 (Input should be a valid time)"}]

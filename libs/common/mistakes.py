"""What is wrong with a field, in a sentence for whoever filled it in; Pydantic's own words stay behind it in brackets.

The one place where Pydantic's kinds of error have their Chinese. What our own validators raise is bilingual already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_WORDS = {
    "missing": "此项必填",
    "extra_forbidden": "没有这一项",
    "none_required": "此项应为空",
    "model_type": "应为一组字段",
    "model_attributes_type": "应为一组字段",
    "dict_type": "应为一组字段",
    "list_type": "应为列表",
    "tuple_type": "应为列表",
    "too_short": "至少 {min_length} 项",
    "too_long": "最多 {max_length} 项",
    "string_type": "应为文字",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "最多 {max_length} 个字符",
    "string_pattern_mismatch": "格式不符",
    "string_unicode": "含有无法识别的字符",
    "enum": "不在可选范围内",
    "literal_error": "不在可选范围内",
    "union_tag_invalid": "不在可选范围内",
    "union_tag_not_found": "缺少类别",
    "bool_type": "应为是或否",
    "bool_parsing": "应为是或否",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_parsing_size": "数字过大",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "finite_number": "应为有限的数字",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "应不小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "应不大于 {le}",
    "multiple_of": "应为 {multiple_of} 的倍数",
    "date_type": "应为日期，如 2026-03-31",
    "date_parsing": "应为日期，如 2026-03-31",
    "date_from_datetime_parsing": "应为日期，如 2026-03-31",
    "date_from_datetime_inexact": "应为日期，不带时刻",
    "datetime_type": "应为日期和时刻",
    "datetime_parsing": "应为日期和时刻",
    "datetime_from_date_parsing": "应为日期和时刻",
    "timezone_aware": "时刻须带时区",
    "uuid_type": "应为编号（UUID）",
    "uuid_parsing": "应为编号（UUID）",
}
_OTHERWISE = "填写有误"


def mistakes(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's errors as problem details carry them: `{path, message}`."""
    return [{"path": path_of(error["loc"]), "message": sentence_of(error)} for error in found]


def sentence_of(error: Mapping[str, Any]) -> str:
    """One of Pydantic's errors in words: `最多 2 项 (…)`."""
    if error["type"] == "value_error":
        own = str(error["ctx"]["error"])
        return f"{_OTHERWISE} ({own})" if own.isascii() else own
    words = _WORDS.get(error["type"], _OTHERWISE).format_map(error.get("ctx", {}))
    return f"{words} ({error['msg']})"


def path_of(location: Sequence[str | int]) -> str:
    """`("body", "applicant", "id_number")` → `applicant.id_number`; other places keep their name in front."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:] if parts[:1] == ["body"] and len(parts) > 1 else parts)

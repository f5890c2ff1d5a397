"""A cell of a feed: read, repaired where the repair is certain, refused by its reason where it is not.

Reasons never hold the cell itself: they go into files that are handed around.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.common.areas import parse_area
from libs.common.identity import parse_name
from libs.common.period import Period
from services.matching.sources import Column, Form

_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[T ]+[\d:.]+)?Z?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_CHINESE_DATE = re.compile(
    r"([〇零○O一二三四五六七八九]{4})年([一二三四五六七八九十]{1,2})月([一二三四五六七八九十]{1,3})日"
)
_CHINESE_DIGITS = {**dict.fromkeys("〇零○O", "0"), **dict(zip("一二三四五六七八九", "123456789", strict=True))}
_MONTH = re.compile(r"(\d{4})\s*[-/.年]?\s*(\d{1,2})\s*月?")
_LEVELS = dict(zip("一二三四", range(1, 5), strict=True))
_YES_NO = {
    **dict.fromkeys(("1", "true", "yes", "y", "是"), True),
    **dict.fromkeys(("0", "false", "no", "n", "否"), False),
}
_PLAIN_NAME = re.compile("[\u4e00-\u9fa5]{1,20}")
UNREADABLE = "\ufffd"
"""What a decoder leaves where it met no character."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a row was not taken. `row` counts from 1 with the heading as the first, as a spreadsheet shows it."""

    row: int
    field: str
    reason: str


class BadCell(ValueError):
    """A cell cannot be what its column holds; the text is the reason."""


def read_cell(column: Column, cell: str) -> Any:
    """What the cell says, None where it is empty; of a name or a secret the text. ValueError gives the reason.

    Resident IDs and certificate numbers are read by the column (`columns.py`).
    """
    text = cell_or_none(column, cell)
    if text is None:
        return None
    if column.form == "word":
        word = unicodedata.normalize("NFKC", text).lower()
        if word not in column.words:
            raise BadCell(f"is none of {', '.join(column.words)}")
        return word
    return _READ[column.form](text)


def cell_or_none(column: Column, cell: str) -> str | None:
    """The cell's text. BadCell if it is empty and must not be, or could not be decoded."""
    text = cell.strip()
    if not text:
        if column.required:
            raise BadCell("is empty")
        return None
    if UNREADABLE in text:
        raise BadCell("holds characters that cannot be read in the file's encoding")
    return text


def parse_date(text: str) -> date:
    """A date as departments write it: 2026-03-05, 2026/3/5, 20260305, 2026年3月5日, 二〇二六年三月五日, and in
    full-width digits."""
    plain = unicodedata.normalize("NFKC", text).strip()
    chinese = _CHINESE_DATE.fullmatch(plain)
    if chinese:
        year = "".join(_CHINESE_DIGITS[digit] for digit in chinese[1])
        plain = f"{year}-{_chinese_number(chinese[2])}-{_chinese_number(chinese[3])}"
    match = _DATE.fullmatch(plain) or _COMPACT_DATE.fullmatch(plain)
    if match is None:
        raise BadCell("is no date (YYYY-MM-DD)")
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise BadCell("is a date that no calendar has") from None


def cell_text(value: object) -> str:
    """A cell of a typed file (Parquet, JSON, Excel) as text: whole numbers without a fraction, dates as YYYY-MM-DD."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:E}"
    if isinstance(value, datetime):
        return value.date().isoformat()
    return str(value)


def _chinese_number(text: str) -> int:
    """1 to 99, as 五, 十, 十二, 三十一 are written; 0 for what is no number."""
    tens, ten, ones = text.rpartition("十")
    if len(tens) > 1 or len(ones) > 1:
        return 0
    return (int(_CHINESE_DIGITS.get(tens, 1)) * 10 if ten else 0) + int(_CHINESE_DIGITS.get(ones, 0))


def _parse_name(text: str) -> str:
    # Most names are two to four common characters, which no repair touches.
    return text if _PLAIN_NAME.fullmatch(text) else parse_name(text)


def _parse_month(text: str) -> Period:
    match = _MONTH.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if match is None or not 1 <= int(match[2]) <= 12:
        raise BadCell("is no month (YYYY-MM)")
    return Period(int(match[1]), int(match[2]))


def _parse_whole_number(text: str) -> int:
    plain = unicodedata.normalize("NFKC", text).replace(",", "").removesuffix(".0")
    if not plain.isdecimal() or len(plain) > 15:
        raise BadCell("is no whole number")
    return int(plain)


def _parse_level(text: str) -> int:
    plain = unicodedata.normalize("NFKC", text).removesuffix("级").removesuffix(".0")
    level = _LEVELS.get(plain) or (int(plain) if plain.isdecimal() and len(plain) == 1 else 0)
    if not 1 <= level <= 4:
        raise BadCell("is no level from 1 to 4")
    return level


def _parse_yes_no(text: str) -> bool:
    answer = _YES_NO.get(unicodedata.normalize("NFKC", text).lower())
    if answer is None:
        raise BadCell("is neither yes nor no")
    return answer


_READ: dict[Form, Callable[[str], Any]] = {
    "name": _parse_name,
    "secret": lambda text: unicodedata.normalize("NFKC", text).replace(" ", ""),
    "date": parse_date,
    "month_end": lambda text: _parse_month(text).last_day,
    "whole_number": _parse_whole_number,
    "level": _parse_level,
    "yes_no": _parse_yes_no,
    "area": parse_area,
    "text": lambda text: text,
}

"""A cell of a feed: read, repaired where the repair is certain, refused by its reason where it is not.

Reasons never hold the cell itself: they go into files that are handed around.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any

from libs.common.areas import parse_area
from libs.common.cells import (
    UNREADABLE,
    BadCell,
    parse_date,
    parse_level,
    parse_month,
    parse_whole_number,
    parse_yes_no,
)
from libs.common.identity import parse_account, parse_name
from libs.common.period import FIRST_DAY, LAST_DAY
from services.matching.sources import Column, Form

_ENDS = ("to", "expires_on")
_PLAIN_NAME = re.compile("[\u4e00-\u9fa5]{1,20}")


def read_cell(column: Column, cell: str) -> Any:
    """What the cell says, None where it is empty. ValueError gives the reason.

    Resident IDs and certificate numbers are read by the column (`columns.py`).
    """
    text = cell_or_none(column, cell)
    if text is None:
        return None
    if column.form == "word":
        word = unicodedata.normalize("NFKC", text).lower()
        if word not in column.words:
            raise BadCell(f"不是可填的词 (is none of {', '.join(column.words)})")
        return word
    value = _READ[column.form](text)
    if isinstance(value, date) and not FIRST_DAY <= value <= LAST_DAY:
        if column.name in _ENDS and value == date.max:
            return None  # how an end that is open is often written
        raise BadCell(f"不在 {FIRST_DAY.year} 至 {LAST_DAY.year} 年间 (is no day that can be meant)")
    return value


def cell_or_none(column: Column, cell: str) -> str | None:
    """The cell's text. BadCell if it is empty and must not be, or could not be decoded."""
    text = cell.strip()
    if not text:
        if column.required:
            raise BadCell("未填 (is empty)")
        return None
    if UNREADABLE in text or "\0" in text:
        raise BadCell("含有无法识别的字符 (holds characters that cannot be read in the file's encoding)")
    return text


def _parse_name(text: str) -> str:
    # Most names are two to four common characters, which no repair touches.
    return text if _PLAIN_NAME.fullmatch(text) else parse_name(text)


_READ: dict[Form, Callable[[str], Any]] = {
    "name": _parse_name,
    "secret": lambda text: unicodedata.normalize("NFKC", text).replace(" ", ""),
    "account": parse_account,
    "date": parse_date,
    "month_end": lambda text: parse_month(text).last_day,
    "whole_number": parse_whole_number,
    "level": parse_level,
    "yes_no": parse_yes_no,
    "area": parse_area,
    "text": lambda text: text,
}

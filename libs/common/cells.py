"""Cells of files that departments send, as people and spreadsheets write them: dates, months, levels, yes and no.

Repaired where the repair is certain, refused by the reason where it is not. Reasons never hold the cell itself: they go
into files that are handed around.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, BinaryIO

from libs.common.period import Period

_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[T ]+[\d:.]+)?Z?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_CHINESE_DATE = re.compile(
    r"([〇零○O一二三四五六七八九]{4})年([一二三四五六七八九十]{1,2})月([一二三四五六七八九十]{1,3})日"
)
_CHINESE_DIGITS = {**dict.fromkeys("〇零○O", "0"), **dict(zip("一二三四五六七八九", "123456789", strict=True))}
_MONTH = re.compile(r"(\d{4})\s*[-/.年]?\s*(\d{1,2})\s*月?")
_CHINESE_MONTH = re.compile(r"([〇零○O一二三四五六七八九]{4})年([一二三四五六七八九十]{1,2})月")
_LEVELS = dict(zip("一二三四", range(1, 5), strict=True))
_YES_NO = {
    **dict.fromkeys(("1", "true", "yes", "y", "是"), True),
    **dict.fromkeys(("0", "false", "no", "n", "否"), False),
}
UNREADABLE = "\ufffd"
"""What a decoder leaves where it met no character."""

_CHUNK_BYTES = 1 << 20


class BadCell(ValueError):
    """A cell cannot be what its column holds; the text is the reason."""


class Utf16File(ValueError):
    """The file is in UTF-16; save it as CSV in UTF-8 or GB 18030."""

    def __init__(self) -> None:
        super().__init__(
            "文件编码为 UTF-16, 请另存为 UTF-8 或 GB 18030 的 CSV"
            " (the file is in UTF-16; save it as CSV in UTF-8 or GB 18030)"
        )


def encoding_of(file: BinaryIO) -> str:
    """`utf-8-sig`, or `gb18030` where what is not ASCII is mostly no UTF-8. Utf16File.

    A few bytes of GB 18030 in a file of UTF-8 spoil their rows; read as GB 18030 the whole file would be taken, every
    name of it garbled, since most UTF-8 happens to be valid GB 18030.
    """
    good = bad = 0
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    file.seek(0)
    if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise Utf16File
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        text = decoder.decode(chunk)
        if not text.isascii():
            spoiled = text.count(UNREADABLE)
            good += len(text) - len(text.encode("ascii", "ignore")) - spoiled
            bad += spoiled
    return "utf-8-sig" if good >= bad else "gb18030"


def text_of(parts: Iterator[bytes], encoding: str) -> io.TextIOWrapper:
    """The text of a file that comes in parts; what cannot be decoded is UNREADABLE."""
    return io.TextIOWrapper(io.BufferedReader(_Parts(parts)), encoding, errors="replace", newline="")


class _Parts(io.RawIOBase):
    """A file whose content comes in parts."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = part
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


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
        raise BadCell("不是日期 (is no date, YYYY-MM-DD)")
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise BadCell("没有这一天 (is a date that no calendar has)") from None


def parse_month(text: str) -> Period:
    """A month: 2026-03, 2026/3, 202603, 2026年3月, 二〇二六年三月."""
    plain = unicodedata.normalize("NFKC", text).strip()
    chinese = _CHINESE_MONTH.fullmatch(plain)
    if chinese:
        plain = f"{''.join(_CHINESE_DIGITS[digit] for digit in chinese[1])}-{_chinese_number(chinese[2])}"
    match = _MONTH.fullmatch(plain)
    if match is None or not 1 <= int(match[2]) <= 12:
        raise BadCell("不是月份 (is no month, YYYY-MM)")
    return Period(int(match[1]), int(match[2]))


def parse_whole_number(text: str) -> int:
    plain = unicodedata.normalize("NFKC", text).replace(",", "").removesuffix(".0")
    if not plain.isdecimal() or len(plain) > 15:
        raise BadCell("不是整数 (is no whole number)")
    return int(plain)


def parse_level(text: str) -> int:
    """1 to 4, also as 一级 or 2级."""
    plain = unicodedata.normalize("NFKC", text).removesuffix("级").removesuffix(".0")
    level = _LEVELS.get(plain) or (int(plain) if plain.isdecimal() and len(plain) == 1 else 0)
    if not 1 <= level <= 4:
        raise BadCell("不是一至四级 (is no level from 1 to 4)")
    return level


def parse_yes_no(text: str) -> bool:
    answer = _YES_NO.get(unicodedata.normalize("NFKC", text).lower())
    if answer is None:
        raise BadCell("应填是或否 (is neither yes nor no)")
    return answer


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
    return str(value).encode("utf-8", "surrogatepass").decode("utf-8", "replace")  # JSON may escape half a character


def _chinese_number(text: str) -> int:
    """1 to 99, as 五, 十, 十二, 三十一 are written; 0 for what is no number."""
    tens, ten, ones = text.rpartition("十")
    if len(tens) > 1 or len(ones) > 1:
        return 0
    return (int(_CHINESE_DIGITS.get(tens, 1)) * 10 if ten else 0) + int(_CHINESE_DIGITS.get(ones, 0))

"""One row of a feed: read, repaired where the repair is certain, refused by field and reason where it is not.

Reasons never hold the cell itself: they go into files that are handed around.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.common.areas import parse_area
from libs.common.identity import CertificateNumber, ResidentId, parse_name
from libs.common.period import Period
from libs.common.privacy import PersonKeys, Sealer
from services.matching.sources import Column, Source

_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[T ]+[\d:.]+)?Z?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_MONTH = re.compile(r"(\d{4})\s*[-/.年]?\s*(\d{1,2})\s*月?")
_LEVELS = dict(zip("一二三四", range(1, 5), strict=True))
_YES_NO = {
    **dict.fromkeys(("1", "true", "yes", "y", "是"), True),
    **dict.fromkeys(("0", "false", "no", "n", "否"), False),
}
_UNREADABLE = "�"


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a row was not taken. `row` counts from 1 with the heading as the first, as a spreadsheet shows it."""

    row: int
    field: str
    reason: str


class BadCell(ValueError):
    """A cell cannot be what its column holds; the text is the reason."""


Read = Callable[[str], Any]


class RowReader:
    """Reads the rows of one feed. `as_of` is the day the feed speaks of: births after it are refused."""

    def __init__(self, source: Source, keys: PersonKeys, sealer: Sealer, *, as_of: date) -> None:
        self._source = source
        self._keys = keys
        self._sealer = sealer
        self._as_of = as_of
        self._read: dict[str, Read] = {
            "resident_id": lambda text: ResidentId.parse(text, on=as_of),
            "certificate_number": lambda text: CertificateNumber.parse(text, on=as_of),
            "name": parse_name,
            "secret": lambda text: unicodedata.normalize("NFKC", text).replace(" ", ""),
            "date": parse_date,
            "month_end": lambda text: _parse_month(text).last_day,
            "whole_number": _parse_whole_number,
            "level": _parse_level,
            "yes_no": _parse_yes_no,
            "area": parse_area,
            "text": lambda text: text,
        }

    def read(self, row: int, cells: Mapping[str, str]) -> dict[str, Any] | Reject:
        """The row as stored, keyed by stored column; or what is wrong with its first bad cell."""
        values: dict[str, Any] = {}
        for column in self._source.columns:
            text = cells.get(column.name, "")
            try:
                values[column.name] = self._cell(column, text)
            except ValueError as error:
                return Reject(row, column.name, str(error))
        wrong = _contradiction(values)
        if wrong is not None:
            return Reject(row, *wrong)
        return self._without_identities(values)

    def _cell(self, column: Column, text: str) -> Any:
        text = text.strip()
        if not text:
            if column.required:
                raise BadCell("is empty")
            return None
        if _UNREADABLE in text:
            raise BadCell("holds characters that cannot be read in the file's encoding")
        if column.form == "word":
            word = unicodedata.normalize("NFKC", text).lower()
            if word not in column.words:
                raise BadCell(f"is none of {', '.join(column.words)}")
            return word
        return self._read[column.form](text)

    def _without_identities(self, values: Mapping[str, Any]) -> dict[str, Any]:
        holder: ResidentId = values["id_number"]
        person_id = self._keys.person_id(str(holder))
        stored: dict[str, Any] = {}
        for column in self._source.columns:
            value = values[column.name]
            if column.form == "name":
                stored[f"{column.stored}_sealed"] = value and self._sealer.seal(
                    value, "feeds", person_id, column.stored
                )
                stored[f"{column.stored}_token"] = value and self._keys.token("name", value.casefold())
            elif column.form == "secret":
                stored[f"{column.stored}_token"] = value and self._keys.token(column.stored, value)
            elif column.form == "resident_id":
                stored[column.stored] = value and self._keys.person_id(str(value))
            elif column.form == "certificate_number":
                stored[column.stored] = value and value.reissue
            else:
                stored[column.stored] = value
        return stored


def parse_date(text: str) -> date:
    """A date as departments write it: 2026-03-05, 2026/3/5, 20260305, 2026年3月5日, in full-width digits too."""
    plain = unicodedata.normalize("NFKC", text).strip()
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


def _contradiction(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """The field and reason where cells that are right by themselves cannot both be so."""
    number: CertificateNumber | None = values.get("certificate_number")
    if number is not None and number.resident_id != values["id_number"]:
        return "certificate_number", "holds another person's resident ID"
    if values.get("status") == "valid" and "level" in values and None in (values["category"], values["level"]):
        return "category" if values["category"] is None else "level", "is empty, and the certificate is valid"
    begin, end = values.get("from"), values.get("to")
    if begin is not None and end is not None and end < begin:
        return "to", "lies before from"
    issued_on, expires_on = values.get("issued_on"), values.get("expires_on")
    if issued_on is not None and expires_on is not None and expires_on < issued_on:
        return "expires_on", "lies before issued_on"
    return None

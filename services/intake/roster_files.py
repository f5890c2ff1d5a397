"""The files of rosters that are taken over: CSV or Excel, told apart by what is in them, read row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Literal

import python_calamine

from libs.common.cells import Utf16File, cell_text, encoding_of, text_of
from libs.common.errors import InvalidInput
from services.intake.roster_words import NEEDED, column_named

Format = Literal["csv", "xlsx"]

_HEADING_WITHIN = 5
"""Rows among which the heading is looked for: printed rosters have titles above it."""

_PART_BYTES = 1 << 20


class UnreadableRoster(InvalidInput):
    """The file cannot be read as a roster."""

    type = "unreadable-roster"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the file is, and how many rows follow its heading."""

    format: Format
    encoding: str
    rows: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row by its number, as a spreadsheet shows it, and its cells by column; None where it is no row at all."""

    number: int
    cells: dict[str, str] | None

    @property
    def is_blank(self) -> bool:
        return self.cells is not None and not any(cell.strip() for cell in self.cells.values())


def examine(file: BinaryIO) -> Layout:
    """UnreadableRoster when the file is no roster: another format, or without the columns that are needed."""
    file.seek(0)
    start = file.read(4)
    if not start.strip():
        raise UnreadableRoster("the file is empty")
    form: Format = "xlsx" if start.startswith(b"PK\x03\x04") else "csv"
    try:
        encoding = encoding_of(file) if form == "csv" else ""
    except Utf16File as error:
        raise UnreadableRoster(str(error)) from error
    file.seek(0)
    rows = sum(1 for _ in read_rows(iter(lambda: file.read(_PART_BYTES), b""), form, encoding))
    return Layout(form, encoding, rows)


def read_rows(parts: Iterator[bytes], form: Format, encoding: str, *, after: int = 0) -> Iterator[Row]:
    """The rows below the heading but for the first `after`, in their order. UnreadableRoster."""
    records = _excel(parts) if form == "xlsx" else _csv(parts, encoding)
    above = list(islice(records, _HEADING_WITHIN))
    place, names = _heading(above)
    below = (record for some in (above[place + 1 :], records) for record in some)
    first = place + 2 + after
    for number, record in enumerate(islice(below, after, None), start=first):
        yield Row(number, _cells(record, names))


def _cells(record: Sequence[str] | None, names: Sequence[str | None]) -> dict[str, str] | None:
    if record is None:
        return None
    if len(record) > len(names) and any(cell.strip() for cell in record[len(names) :]):
        return None  # more cells than the heading has: something has shifted
    return {name: cell for name, cell in zip(names, record, strict=False) if name is not None}


def _heading(above: Sequence[Sequence[str] | None]) -> tuple[int, list[str | None]]:
    """Where the heading is, and the column that each of its cells means."""
    best: tuple[int, list[str | None]] = 0, []
    for place, record in enumerate(above):
        names = [column_named(cell) for cell in record or ()]
        if len(set(names) - {None}) > len(set(best[1]) - {None}):
            best = place, names
    missing = [name for name in NEEDED if name not in best[1]]
    if missing:
        raise UnreadableRoster(
            f"the heading lacks {', '.join(missing)}",
            errors=[{"path": name, "message": "no such column in the heading"} for name in missing],
        )
    named = [name for name in best[1] if name is not None]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise UnreadableRoster(f"the heading has {', '.join(twice)} twice")
    return best


def _csv(parts: Iterator[bytes], encoding: str) -> Iterator[list[str] | None]:
    text = text_of(parts, encoding)
    start = text.readline()
    delimiter = "\t" if "\t" in start and "," not in start else ","
    reader = csv.reader(_again(start, text), delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:  # a quotation mark that is not closed, or a cell without end
            yield None


def _again(start: str, text: Iterable[str]) -> Iterator[str]:
    yield start
    yield from text


def _excel(parts: Iterator[bytes]) -> Iterator[list[str]]:
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(b"".join(parts)))
        rows = book.get_sheet_by_index(0).iter_rows()
    except (python_calamine.CalamineError, OSError) as error:
        raise UnreadableRoster("the Excel file is damaged, or has no sheet") from error
    for row in rows:
        yield [cell_text(cell) for cell in row]

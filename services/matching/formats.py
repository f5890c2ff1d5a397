"""The files that departments send, as rows of text: CSV, NDJSON, Parquet or Excel, told apart by what is in them."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import python_calamine

from libs.common.errors import InvalidInput
from services.matching.rows import Reject, cell_text
from services.matching.sources import Source

Row: TypeAlias = tuple[int, dict[str, str]]
"""A row's number, the heading being the first, and its cells by the column's name."""

_CHUNK_BYTES = 1 << 20


class UnreadableFeed(InvalidInput):
    """The file cannot be read as a feed."""

    type = "unreadable-feed"


def read_rows(path: Path, source: Source) -> Iterator[Row | Reject]:
    """The rows of the file, one after another. UnreadableFeed when it is no feed of that source at all."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise UnreadableFeed("the file is empty")
    if head.startswith(b"PAR1"):
        return _parquet_rows(path, source)
    if head.startswith(b"PK\x03\x04"):
        return _excel_rows(path, source)
    if head.lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"{"):
        return _json_rows(path, source)
    return _csv_rows(path, source)


def encoding_of(path: Path) -> str:
    """`utf-8-sig` or `gb18030`, whichever reads the file, or reads further into it."""
    with path.open("rb") as file:
        mark = file.read(2)
    if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise UnreadableFeed("the file is in UTF-16; save it as CSV in UTF-8 or GB 18030")
    readable = {encoding: _readable_bytes(path, encoding) for encoding in ("utf-8-sig", "gb18030")}
    return max(readable, key=lambda encoding: readable[encoding])


def _readable_bytes(path: Path, encoding: str) -> int:
    """How many bytes, to a chunk's end, are text in that encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    read = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                return read + error.start
            read += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return read - 1
    return read


def _lines(path: Path) -> Iterator[str]:
    encoding = encoding_of(path)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        yield from file  # what GB 18030 leaves in the private-use area, `parse_name` puts in its place


def _csv_rows(path: Path, source: Source) -> Iterator[Row | Reject]:
    lines = _lines(path)
    heading = next(lines)
    delimiter = "\t" if "\t" in heading and "," not in heading else ","
    names = _columns(next(csv.reader([heading], delimiter=delimiter)), source)
    reader = csv.reader(lines, delimiter=delimiter)
    number = 1
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Reject(number, "", "is no row of a CSV file: a quotation mark is not closed, or a cell is too long")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            yield Reject(number, "", f"has {len(cells)} cells where the heading has {len(names)}")
        else:
            yield number, {name: cell for name, cell in zip(names, cells, strict=True) if name}


def _json_rows(path: Path, source: Source) -> Iterator[Row | Reject]:
    # NDJSON has no heading; its first line is row 1.
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            yield Reject(number, "", "is not valid JSON")
            continue
        if not isinstance(row, dict):
            yield Reject(number, "", "is not a JSON object")
            continue
        known = ((source.column_named(name), value) for name, value in row.items())
        yield number, {column.name: cell_text(value) for column, value in known if column is not None}


def _parquet_rows(path: Path, source: Source) -> Iterator[Row | Reject]:
    number = 1
    try:
        file = pq.ParquetFile(path)
        names = _columns(file.schema_arrow.names, source)
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, {name: cell_text(cell) for name, cell in zip(names, row.values(), strict=True) if name}
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFeed("the Parquet file is damaged or cut off") from error


def _excel_rows(path: Path, source: Source) -> Iterator[Row | Reject]:
    try:
        sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        rows = iter(sheet.to_python(skip_empty_area=False))
    except (python_calamine.CalamineError, OSError) as error:
        raise UnreadableFeed("the Excel file is damaged, or has no sheet") from error
    names = _columns([cell_text(cell) for cell in next(rows, [])], source)
    for number, cells in enumerate(rows, start=2):
        texts = [cell_text(cell) for cell in cells]
        if any(texts):
            yield number, {name: text for name, text in zip(names, texts, strict=False) if name}


def _columns(headings: Iterable[str], source: Source) -> list[str]:
    """The column that each heading means, empty for what the source does not know. UnreadableFeed for a lack."""
    found = [column.name if (column := source.column_named(heading)) else "" for heading in headings]
    missing = [column.name for column in source.columns if column.required and column.name not in found]
    if missing:
        raise UnreadableFeed(
            f"the heading lacks {', '.join(missing)}",
            errors=[{"path": name, "message": "no such column in the heading"} for name in missing],
        )
    twice = sorted({name for name in found if name and found.count(name) > 1})
    if twice:
        raise UnreadableFeed(f"the heading has {', '.join(twice)} twice")
    return found

"""The files that departments send, as columns of text: CSV, NDJSON, Parquet or Excel, told apart by what is in them."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import python_calamine

from libs.common.cells import Utf16File, cell_text, encoding_of
from libs.common.errors import InvalidInput
from services.matching.rejects import Reject
from services.matching.sources import Source

BATCH_ROWS = 32_000


class UnreadableFeed(InvalidInput):
    """The file cannot be read as a feed."""

    type = "unreadable-feed"


@dataclass(slots=True)
class Batch:
    """Rows one after another: their numbers, the heading being the first, and by the column's name their cells as text.
    `rejects` are rows among them that are no rows of that file."""

    numbers: list[int] = field(default_factory=list)
    cells: dict[str, list[str]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)


def read_batches(path: Path, source: Source) -> Iterator[Batch]:
    """The rows of the file in their order. UnreadableFeed when it is no feed of that source at all."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise UnreadableFeed("文件是空的 (the file is empty)")
    if head.startswith(b"PAR1"):
        return _parquet(path, source)
    if head.startswith(b"PK\x03\x04"):
        return _excel(path, source)
    if head.lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"{"):
        return _json(path, source)
    return _csv(path, source)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as content:
            encoding = encoding_of(content)
    except Utf16File as error:
        raise UnreadableFeed(str(error)) from error
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        yield from file  # what GB 18030 leaves in the private-use area, `parse_name` puts in its place


def _csv(path: Path, source: Source) -> Iterator[Batch]:
    lines = _lines(path)
    heading = next(lines)
    delimiter = "\t" if "\t" in heading and "," not in heading else ","
    names = _columns(next(csv.reader([heading], delimiter=delimiter)), source)
    reader = csv.reader(lines, delimiter=delimiter)
    first = 2
    while True:
        rows: list[list[str]] = []
        broken = False
        try:
            rows += islice(reader, BATCH_ROWS)  # what came before an error is kept
        except csv.Error:
            broken = True
        if not rows and not broken:
            return
        batch = _of_rows(range(first, first + len(rows)), rows, names)
        first += len(rows)
        if broken:
            reason = "引号未闭合或单元格过长 (a quotation mark is not closed, or a cell is too long)"
            batch.rejects.append(Reject(first, "", reason))
            first += 1
        yield batch


def _of_rows(numbers: Iterable[int], rows: list[list[str]], names: list[str]) -> Batch:
    """Blank rows are passed over; rows of another length than the heading are rejected."""
    kept = list(numbers)
    rejects: list[Reject] = []
    if set(map(len, rows)) != {len(names)} or any(not row[0] for row in rows):
        good: list[list[str]] = []
        kept, before = [], kept
        for number, cells in zip(before, rows, strict=True):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                rejects.append(
                    Reject(number, "", f"有 {len(cells)} 格, 表头有 {len(names)} 格 (has other cells than the heading)")
                )
                continue
            kept.append(number)
            good.append(cells)
        rows = good
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    cells_by_name = {name: list(cells) for name, cells in zip(names, columns, strict=True) if name}
    return Batch(kept, cells_by_name, rejects)


def _json(path: Path, source: Source) -> Iterator[Batch]:
    # NDJSON has no heading; its first line is row 1.
    lines = enumerate(_lines(path), start=1)
    names = [column.name for column in source.columns]
    while portion := list(islice(lines, BATCH_ROWS)):
        numbers, rows, rejects = [], [], []
        for number, line in portion:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                rejects.append(Reject(number, "", "is not valid JSON"))
                continue
            if not isinstance(row, dict):
                rejects.append(Reject(number, "", "is not a JSON object"))
                continue
            known = {column.name: value for name, value in row.items() if (column := source.column_named(name))}
            numbers.append(number)
            rows.append([cell_text(known.get(name)) for name in names])
        batch = _of_rows(numbers, rows, names)
        yield Batch(batch.numbers, batch.cells, rejects)


def _parquet(path: Path, source: Source) -> Iterator[Batch]:
    first = 2
    try:
        file = pq.ParquetFile(path)
        names = _columns(file.schema_arrow.names, source)
        for portion in file.iter_batches(BATCH_ROWS):
            cells = {name: _texts(column) for name, column in zip(names, portion.columns, strict=True) if name}
            yield Batch(list(range(first, first + portion.num_rows)), cells)
            first += portion.num_rows
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFeed("Parquet 文件损坏或不完整 (the Parquet file is damaged or cut off)") from error


def _texts(column: pa.Array) -> list[str]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts: list[str] = column.fill_null("").to_pylist()
        return texts
    return [cell_text(cell) for cell in column.to_pylist()]


def _excel(path: Path, source: Source) -> Iterator[Batch]:
    try:
        sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        rows = iter(sheet.to_python(skip_empty_area=False))
    except (python_calamine.CalamineError, OSError) as error:
        raise UnreadableFeed("Excel 文件损坏或没有工作表 (the Excel file is damaged, or has no sheet)") from error
    names = _columns([cell_text(cell) for cell in next(rows, [])], source)
    first = 2
    while portion := [[cell_text(cell) for cell in cells] for cells in islice(rows, BATCH_ROWS)]:
        yield _of_rows(range(first, first + len(portion)), portion, names)
        first += len(portion)


def _columns(headings: Iterable[str], source: Source) -> list[str]:
    """The column that each heading means, empty for what the source does not know. UnreadableFeed for a lack."""
    found = [column.name if (column := source.column_named(heading)) else "" for heading in headings]
    missing = [column.name for column in source.columns if column.required and column.name not in found]
    if missing:
        raise UnreadableFeed(
            f"表头缺少 {', '.join(missing)} (the heading lacks them)",
            errors=[{"path": name, "message": "表头没有这一列 (no such column in the heading)"} for name in missing],
        )
    twice = sorted({name for name in found if name and found.count(name) > 1})
    if twice:
        raise UnreadableFeed(f"表头重复: {', '.join(twice)} (the heading has them twice)")
    return found

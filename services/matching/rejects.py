"""The rows of a feed that were not taken, a line of JSON each, beside the feed. Imports little: a comparison's process
starts with it."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a row was not taken. `row` counts from 1 with the heading as the first, as a spreadsheet shows it.

    `person_id`: whose row it is, where that could be read. It is stored and not shown: who stands in a register that
    could not be read whole has not vanished from it.
    """

    row: int
    field: str
    reason: str
    person_id: str | None = None


def line_of(reject: Reject) -> str:
    return json.dumps(asdict(reject), ensure_ascii=False) + "\n"


def rejects_csv(path: Path) -> Iterator[bytes]:
    """The rejects as CSV, with the mark by which spreadsheets know UTF-8."""
    yield codecs.BOM_UTF8 + "行号,字段,原因\r\n".encode()
    with path.open(encoding="utf-8") as file:
        while portion := list(islice(file, 1000)):
            text = io.StringIO(newline="")
            csv.writer(text).writerows(
                [reject["row"], reject["field"], reject["reason"]] for reject in map(json.loads, portion)
            )
            yield text.getvalue().encode()


def read_rejects(path: Path, *, after: int, limit: int) -> list[dict[str, Any]]:
    """`limit` rejects after the first `after`."""
    with path.open(encoding="utf-8") as file:
        rejects = map(json.loads, islice(file, after, after + limit))
        return [{name: reject[name] for name in ("row", "field", "reason")} for reject in rejects]


def unread_in(paths: Iterable[Path]) -> pa.Table:
    """Whose rows are among the rejects."""
    person_ids = []
    for path in paths:
        with path.open(encoding="utf-8") as file:
            person_ids += [reject["person_id"] for reject in map(json.loads, file) if reject["person_id"]]
    return pa.table({"person_id": pa.array(person_ids, pa.string())})

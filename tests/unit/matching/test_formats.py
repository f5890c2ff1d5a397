"""Files as departments send them: formats and encodings told apart, damage told by row or by file."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from services.matching.feeds import Keys, digest_of, take_in
from services.matching.formats import UnreadableFeed, read_batches
from services.matching.rejects import Reject, read_rejects
from services.matching.sources import SOURCES
from services.matching.staging import Staging
from tests.unit.matching.test_rows import AS_OF, ID, PERSON_KEYS, SEALER

DEATHS = SOURCES["deaths"]
OTHER_ID = "53010219491231007X"
ROWS = [("张三", ID, "2026-03-05", "530102"), ("䶮国栋", OTHER_ID, "2026年3月6日", "530102001")]
CSV = "name,id_number,date,area\n" + "\n".join(",".join(row) for row in ROWS) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "feed"


def read_rows(path: Path) -> list[Reject | tuple[int, dict[str, str]]]:
    """Each row of the file, rejected or with its number and cells, in the file's order."""
    rows: dict[int, Reject | tuple[int, dict[str, str]]] = {}
    for batch in read_batches(path, DEATHS):
        rows |= {reject.row: reject for reject in batch.rejects}
        for at, number in enumerate(batch.numbers):
            rows[number] = number, {name: cells[at] for name, cells in batch.cells.items()}
    return [rows[number] for number in sorted(rows)]


def names(path: Path) -> list[str]:
    return [item.reason if isinstance(item, Reject) else item[1]["name"] for item in read_rows(path)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_is_read_in_the_encodings_that_are_used(file: Path, encoding: str) -> None:
    file.write_text(CSV, encoding=encoding)
    assert names(file) == ["张三", "䶮国栋"]


def test_chinese_headings_mean_the_same_columns(file: Path) -> None:
    file.write_text(CSV.replace("name,id_number,date,area", "姓名,身份证号,死亡日期,行政区划代码"), encoding="gb18030")
    assert names(file) == ["张三", "䶮国栋"]


def test_columns_that_are_not_known_are_passed_over(file: Path) -> None:
    file.write_text(f"name,remark,id_number,date\n张三,无,{ID},2026-03-05\n")
    assert read_rows(file) == [(2, {"name": "张三", "id_number": ID, "date": "2026-03-05"})]


def test_ndjson_is_read_line_by_line_and_a_broken_line_is_one_reject(file: Path) -> None:
    rows = [{"name": "张三", "id_number": ID, "date": "2026-03-05"}, {"name": "李四", "id_number": OTHER_ID}]
    file.write_text(json.dumps(rows[0], ensure_ascii=False) + "\n{broken\n[1]\n" + json.dumps(rows[1]) + "\n")
    assert names(file) == ["张三", "is not valid JSON", "is not a JSON object", "李四"]


def test_half_a_character_and_nul_are_rejected_with_their_rows(file: Path) -> None:
    rows = [
        {"name": name, "id_number": number, "date": "2026-03-05"}
        for name, number in (("\ud800", ID), ("张三", "\udfff"), ("张\0", ID), ("𠮷", ID))
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    taken, rejects = take(file)
    assert taken.accepted == 1
    assert [(reject["row"], reject["field"]) for reject in rejects] == [(1, "name"), (2, "id_number"), (3, "name")]


def test_parquet_is_read_with_its_types(file: Path) -> None:
    table = pa.table({"name": ["张三"], "id_number": [ID], "date": [date(2026, 3, 5)]})
    pq.write_table(table, file)
    assert read_rows(file) == [(2, {"name": "张三", "id_number": ID, "date": "2026-03-05"})]


def test_excel_is_read_and_an_id_kept_as_a_number_is_refused_as_damaged(file: Path) -> None:
    book = xlsxwriter.Workbook(str(file))
    sheet = book.add_worksheet()
    for number, row in enumerate(
        [("姓名", "身份证号", "死亡日期"), ("张三", ID, "2026-03-05"), ("李四", int(ID), "2026-03-05")]
    ):
        sheet.write_row(number, 0, row)
    book.close()
    taken, rejects = take(file)
    assert taken.accepted == 1
    assert rejects[0]["row"] == 3
    assert "spreadsheet" in rejects[0]["reason"]


def test_a_feed_with_wrong_columns_is_refused_and_the_missing_are_named(file: Path) -> None:
    file.write_text("姓名,电话\n张三,1\n")
    with pytest.raises(UnreadableFeed) as refused:
        read_rows(file)
    assert {error["path"] for error in refused.value.errors} == {"id_number", "date"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        ("name,id_number,date\n".encode("utf-16"), "UTF-16"),
        (b"PAR1 cut off", "Parquet"),
        (b"PK\x03\x04 cut off", "Excel"),
    ],
)
def test_a_file_that_is_no_feed_is_refused_with_its_reason(file: Path, content: bytes, says: str) -> None:
    file.write_bytes(content)
    with pytest.raises(UnreadableFeed, match=says):
        read_rows(file)


def test_a_file_cut_off_in_the_middle_keeps_its_whole_rows(file: Path) -> None:
    file.write_bytes(CSV.encode("gb18030")[:-14])
    taken, rejects = take(file)
    assert (taken.accepted, taken.rejected) == (1, 1)
    assert rejects[0]["row"] == 3


def test_one_broken_character_spoils_one_row_not_the_file(file: Path) -> None:
    lines = CSV.encode("gb18030").split(b"\n")
    file.write_bytes(b"\n".join([lines[0], lines[1], b"\xff\xff" + lines[2], b""]))
    taken, rejects = take(file)
    assert (taken.accepted, taken.rejected) == (1, 1)
    assert rejects == [
        {
            "row": 3,
            "field": "name",
            "reason": "含有无法识别的字符 (holds characters that cannot be read in the file's encoding)",
        }
    ]


def test_what_is_stored_is_whole_or_not_there(file: Path, tmp_path: Path) -> None:
    file.write_text("姓名,电话\n张三,1\n")
    with pytest.raises(UnreadableFeed):
        take(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feed"]


def test_a_feed_taken_in_holds_no_identity_and_cannot_be_written_to(file: Path, tmp_path: Path) -> None:
    file.write_text(CSV)
    taken, _ = take(file)
    stored = tmp_path / "rows.parquet"
    table = pq.read_table(stored)
    assert table["person_id"].to_pylist() == [PERSON_KEYS.person_id(ID), PERSON_KEYS.person_id(OTHER_ID)]
    assert ID.encode() not in stored.read_bytes()
    assert "张三".encode() not in stored.read_bytes()
    assert stored.stat().st_mode & 0o222 == 0
    assert taken.digest == digest_of(stored)


def take(file: Path) -> tuple[Any, list[dict[str, Any]]]:
    rows, rejects = file.parent / "rows.parquet", file.parent / "rejects.ndjson"
    staging = Staging(file.parent / "staging")
    taken = take_in(file, DEATHS, uuid4(), AS_OF, Keys(PERSON_KEYS, SEALER), rows, rejects, staging)
    return taken, read_rejects(rejects, after=0, limit=100)

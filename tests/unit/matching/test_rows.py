"""Rows of feeds: what is repaired, what is refused, and what is never stored."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.cells import cell_text, parse_date
from libs.common.identity import ResidentId, check_character
from libs.common.privacy import PersonKeys, Sealer, UnsealingFailed
from services.matching.columns import ColumnReader, well_formed
from services.matching.formats import Batch
from services.matching.names import BLOCK_ROWS, open_names, seal_names
from services.matching.pseudonyms import Pseudonyms, mac_by_cryptography, mac_by_hashlib
from services.matching.rejects import Reject
from services.matching.sources import SOURCES

PERSON_KEYS = PersonKeys.parse("1:" + "ab" * 32)
SEALER = Sealer.parse("k1:" + "cd" * 16)
ID = "530102194408120015"
AS_OF = date(2026, 3, 31)


def read(source: str, **cells: str) -> dict[str, Any] | Reject:
    taken = ColumnReader(SOURCES[source], Pseudonyms(PERSON_KEYS), as_of=AS_OF).read(
        Batch([2], {name: [cell] for name, cell in cells.items()})
    )
    if taken.rejects:
        return taken.rejects[0]
    row = {name: column[0].as_py() for name, column in taken.columns.items()}
    return {**row, **{f"plain {column}": names[0] for column, names in taken.names.items()}}


def accepted(source: str, **cells: str) -> dict[str, Any]:
    row = read(source, **cells)
    assert not isinstance(row, Reject), row
    return row


def rejected(source: str, **cells: str) -> Reject:
    row = read(source, **cells)
    assert isinstance(row, Reject), row
    return row


def test_an_end_in_the_year_9999_is_open_and_any_other_day_that_nobody_means_is_refused() -> None:
    dibao = {"id_number": ID, "category": "dibao", "from": "2024-01-01"}
    assert accepted("low_income", to="9999-12-31", **dibao)["to_on"] is None
    certificate = {"id_number": ID, "category": "vision", "level": "1", "status": "valid"}
    assert accepted("certificates", expires_on="99991231", **certificate)["expires_on"] is None
    for day in ("9999-12-31", "2200-01-01", "1899-12-31", "0001-01-01"):
        assert rejected("deaths", id_number=ID, date=day).field == "date"
    assert rejected("low_income", last_paid_period="9999-12", **dibao).field == "last_paid_period"


def test_a_row_holds_neither_id_nor_name_in_plain() -> None:
    row = accepted("deaths", id_number=ID, name="阿依古丽•买买提", date="2026-03-05", area="530102001")
    assert row.pop("plain name") == "阿依古丽·买买提", "for sealing, and for nothing else"
    assert row["person_id"] == PERSON_KEYS.person_id(ID)
    assert ID not in str(row)
    assert "阿依" not in str(row)


def test_bulk_pseudonyms_are_those_that_one_by_one_come_out() -> None:
    bulk = Pseudonyms(PERSON_KEYS)
    assert bulk.person_ids([ID]) == [PERSON_KEYS.person_id(ID)]
    assert bulk.token("name", "张三") == PERSON_KEYS.token("name", "张三")
    for key in (b"k" * 32, b"k" * 100):
        assert mac_by_hashlib(key)(b"text") == mac_by_cryptography(key)(b"text")


def test_a_sealed_name_is_found_by_its_row_and_opens_nowhere_else(tmp_path: Path) -> None:
    feed_id = uuid4()
    names = [f"人{number}" if number % 3 else None for number in range(2500)]
    groups = [
        seal_names(names[:1300], SEALER, feed_id, "name", 0),
        seal_names(names[1300:], SEALER, feed_id, "name", 1300),
    ]
    with pq.ParquetWriter(tmp_path / "rows", pa.schema([("name_sealed", pa.string())])) as writer:
        for sealed in groups:
            assert len(sealed) - sealed.null_count == -(-len(sealed) // BLOCK_ROWS), "one sealing a block"
            writer.write_table(pa.table({"name_sealed": sealed}))
    wanted = [1, 3, 999, 1000, 1301, 2303, 2498]
    assert open_names(tmp_path / "rows", SEALER, feed_id, "name", wanted) == {
        row: f"人{row}" for row in wanted if row % 3
    }
    with pytest.raises(UnsealingFailed):
        open_names(tmp_path / "rows", SEALER, uuid4(), "name", [1])


def test_the_same_name_written_otherwise_has_the_same_token() -> None:
    one = accepted("deaths", id_number=ID, name="阿依古丽•买买提", date="2026-03-05")
    other = accepted("deaths", id_number=ID, name="阿依古丽 · 买买提", date="2026-03-05")
    assert one["name_token"] == other["name_token"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-05",
        "2026/3/5",
        "2026.3.5",
        "20260305",
        "2026年3月5日",
        "２０２６年３月５日",
        "2026-03-05 00:00:00",
        "二〇二六年三月五日",
        "二○二六年三月五日",
        "2026 年 03 月 05 日",
    ],
)
def test_dates_are_read_as_departments_write_them(text: str) -> None:
    assert parse_date(text) == date(2026, 3, 5)


@pytest.mark.parametrize("text", ["2026-02-30", "5.3.2026", "昨天", "20261301", "46022"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="date"):
        parse_date(text)


@settings(deadline=None)
@given(
    st.one_of(
        st.from_regex(r"[0-9X]{17,19}", fullmatch=True),
        st.builds(
            lambda area, born, order: (first := f"{area:06}{born:08}{order:03}") + check_character(first),
            st.integers(0, 999999),
            st.one_of(st.integers(18000101, 20271231), st.integers(0, 99999999)),
            st.integers(0, 999),
        ),
        st.text(max_size=20),
    )
)
def test_the_ids_that_columns_take_as_they_stand_are_those_that_parse_to_themselves(text: str) -> None:
    try:
        same = str(ResidentId.parse(text, on=AS_OF)) == text
    except ValueError:
        same = False
    assert bool(well_formed([text, ID], AS_OF)[0]) is same
    assert bool(well_formed([text, ID], AS_OF)[1])


def test_an_id_with_a_lower_case_x_and_spaces_is_repaired() -> None:
    row = accepted("deaths", id_number=" 53010219491231007x ", date="2026-03-05")
    assert row["person_id"] == PERSON_KEYS.person_id("53010219491231007X")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("530102194408120016", "有一位录错"),
        ("5.30102194408E+17", "spreadsheet"),
        ("53010219440812001", "应为 18 位"),
        ("", "未填"),
    ],
)
def test_a_bad_id_is_refused_by_field_and_reason_without_the_id(number: str, reason: str) -> None:
    reject = rejected("deaths", id_number=number, date="2026-03-05")
    assert reject.field == "id_number"
    assert reason in reject.reason
    assert not number or number not in reject.reason


def test_a_certificate_number_of_another_person_is_refused() -> None:
    reject = rejected(
        "certificates",
        id_number=ID,
        certificate_number="53010219491231007X41",
        category="physical",
        level="1",
        status="valid",
    )
    assert (reject.row, reject.field, reject.reason) == (
        2,
        "certificate_number",
        "所含身份证号是他人的 (holds another person's resident ID)",
    )


def test_a_valid_certificate_needs_its_level_and_a_cancelled_one_does_not() -> None:
    assert rejected("certificates", id_number=ID, category="physical", status="valid").field == "level"
    assert accepted("certificates", id_number=ID, status="cancelled")["level"] is None


def test_a_last_paid_month_is_stored_as_its_last_day() -> None:
    row = accepted("low_income", id_number=ID, category="dibao", last_paid_period="2026年2月", grace="是")
    assert row["last_paid_on"] == date(2026, 2, 28)
    assert row["grace"] is True


def test_levels_come_in_digits_and_in_chinese() -> None:
    levels = [
        accepted("certificates", id_number=ID, category="physical", level=text, status="valid")["level"]
        for text in ("2", "２", "二级", "2.0")
    ]
    assert levels == [2, 2, 2, 2]


@pytest.mark.parametrize("level", ["0", "5", "-1", "级", "12"])
def test_a_level_that_does_not_exist_is_refused(level: str) -> None:
    assert rejected("certificates", id_number=ID, category="physical", level=level, status="valid").field == "level"


def test_an_interval_that_ends_before_it_begins_is_refused() -> None:
    cells = {"id_number": ID, "kind": "serving", "from": "2026-03-05", "to": "2026-03-04"}
    assert rejected("prisons", **cells).field == "to"


def test_characters_that_could_not_be_decoded_are_refused() -> None:
    assert "encoding" in rejected("deaths", id_number=ID, name="张\ufffd", date="2026-03-05").reason


def test_a_guardian_is_known_by_person_id_only() -> None:
    cells = {"id_number": ID, "guardian_name": "张三", "guardian_id_number": "53010219491231007X", "from": "2020-01-01"}
    row = accepted("guardianships", **cells)
    assert row["guardian_person_id"] == PERSON_KEYS.person_id("53010219491231007X")
    assert "53010219491231007X" not in str(row)


def test_an_account_number_is_stored_as_a_token_only() -> None:
    row = accepted("social_cards", id_number=ID, bank="农信社", number="6231 9000 0001 2345", status="active")
    assert "number" not in row
    assert "6231" not in str(row)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (2.0, "2"), (5.30102194408120e17, "5.301022E+17"), (True, "true"), (date(2026, 3, 5), "2026-03-05")],
)
def test_cells_of_typed_files_become_text(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_each_source_keeps_its_columns_apart() -> None:
    for source in SOURCES.values():
        stored = [column.stored for column in source.columns]
        assert len(stored) == len(set(stored)), source.name
        assert source.column_named("身份证号") is source.column_named(" ID_NUMBER ")

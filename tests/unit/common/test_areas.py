from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common import areas
from libs.common.areas import NotAnArea, areas_below, contains, county_of, full_name_of, lineage, name_of, parse_area

TODAY = date(2026, 3, 1)


def test_yunnan_has_16_prefectures_and_129_counties() -> None:
    assert len(areas_below("53", "prefecture", TODAY)) == 16
    assert len(areas_below("53", "county", TODAY)) == 129


def test_each_prefecture_has_its_counties() -> None:
    counties = Counter(county[:4] for county in areas_below("53", "county", TODAY))
    assert counties == {
        "5301": 14,
        "5303": 9,
        "5304": 9,
        "5305": 5,
        "5306": 11,
        "5307": 5,
        "5308": 10,
        "5309": 8,
        "5323": 10,
        "5325": 13,
        "5326": 8,
        "5328": 3,
        "5329": 12,
        "5331": 5,
        "5333": 4,
        "5334": 3,
    }


@pytest.mark.parametrize("year", [2005, 2008, 2012, 2015, 2019, 2022])
def test_the_number_of_counties_never_changed_while_their_names_did(year: int) -> None:
    assert len(areas_below("53", "county", date(year, 7, 1))) == 129


@pytest.mark.parametrize(
    ("code", "name"),
    [
        *[("530115", "晋宁区"), ("530181", "安宁市"), ("530481", "澄江市"), ("532302", "禄丰市"), ("532503", "蒙自市")],
        *[
            ("533301", "泸水市"),
            ("533401", "香格里拉市"),
            ("530303", "沾益区"),
            ("530304", "马龙区"),
            ("530403", "江川区"),
        ],
    ],
)
def test_the_table_holds_the_names_of_today(code: str, name: str) -> None:
    assert name_of(code, TODAY) == name


def test_a_county_that_became_a_district_changes_its_code_on_the_day() -> None:
    assert name_of("530122", date(2016, 11, 23)) == "晋宁县"
    assert name_of("530115", date(2016, 11, 23)) == "530115"
    assert name_of("530115", date(2016, 11, 24)) == "晋宁区"
    assert name_of("530122", date(2016, 11, 24)) == "530122"


def test_a_renamed_county_keeps_its_code() -> None:
    assert name_of("533103", date(2009, 12, 31)) == "潞西市"
    assert name_of("533103", TODAY) == "芒市"


def test_a_code_the_table_does_not_know_stands_for_itself() -> None:
    assert full_name_of("530102002", TODAY) == "云南省昆明市五华区华山街道"
    assert full_name_of("530102999", TODAY) == "云南省昆明市五华区530102999"
    assert parse_area("110101") == "110101"


@pytest.mark.parametrize(
    ("text", "area"),
    [
        *[("53", "53"), ("5301", "5301"), ("530102", "530102"), ("530102001", "530102001")],
        *[("530000", "53"), ("530100", "5301"), ("5300", "53"), ("530102000", "530102"), (" 530102 ", "530102")],
        *[("530102001000", "530102001"), ("530000000000", "53"), ("530102001001", "530102001001")],
    ],
)
def test_zeros_of_a_higher_level_are_that_level(text: str, area: str) -> None:
    assert parse_area(text) == area


@pytest.mark.parametrize("text", ["", "5", "530", "53010", "5301020", "53010A", "013010", "00", "５３", "昆明市", "-5"])
def test_what_is_not_a_code_is_refused(text: str) -> None:
    with pytest.raises(NotAnArea):
        parse_area(text)


def test_a_code_covers_itself_and_all_below_it_and_nothing_else() -> None:
    assert contains("5301", "530102001")
    assert contains("530102", "530102")
    assert not contains("530102", "5301")
    assert not contains("5301", "530302")


def test_lineage_and_county_of_a_township() -> None:
    assert lineage("530102001") == ["53", "5301", "530102", "530102001"]
    assert county_of("530102001") == "530102"
    assert county_of("5301") is None


def test_every_row_names_its_parent_and_its_level() -> None:
    codes = {row.code for row in areas.table()}
    for row in areas.table():
        assert row.level == areas.level_of(row.code)
        assert row.parent in codes or row.level == "province"
        assert row.code.startswith(row.parent)


@given(st.from_regex(r"[1-9][0-9]{1}([0-9]{2}([0-9]{2}([0-9]{3}([0-9]{3})?)?)?)?", fullmatch=True))
def test_parsing_twice_is_parsing_once_and_widens_never_narrows(text: str) -> None:
    area = parse_area(text)
    assert parse_area(area) == area
    assert contains(area, text)

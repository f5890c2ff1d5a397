from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.identity import (
    CertificateNumber,
    CertificateOfAnotherPerson,
    EmptyName,
    FutureBirthDate,
    ImpossibleBirthDate,
    NameTooLong,
    NotACertificateNumber,
    NotAnAccount,
    NotAPhone,
    NotAResidentId,
    ResidentId,
    SpreadsheetDamagedId,
    WrongIdChecksum,
    account_warnings,
    check_character,
    mask_account,
    mask_id_number,
    mask_name,
    mask_phone,
    parse_account,
    parse_name,
    parse_phone,
    same_name,
)

TODAY = date(2026, 3, 1)
ELDER = "530102194408120015"


def with_check(first_17: str) -> str:
    return first_17 + check_character(first_17)


ENDS_IN_X = next(i for n in range(999) if (i := with_check(f"53010219700101{n:03d}")).endswith("X"))


def test_a_published_example_of_the_standard_is_valid() -> None:
    assert str(ResidentId.parse("11010519491231002X", on=TODAY)) == "11010519491231002X"


def test_an_elder_whose_area_code_is_dated_later_than_the_birth_is_accepted() -> None:
    assert ResidentId.parse(ELDER, on=TODAY).birth_date == date(1944, 8, 12)


def test_an_area_code_that_never_existed_is_accepted() -> None:
    number = with_check("99999919700101001")
    assert str(ResidentId.parse(number, on=TODAY)) == number


@pytest.mark.parametrize(
    "dirty",
    [
        ENDS_IN_X.lower(),
        ENDS_IN_X[:-1] + "Ｘ",
        ENDS_IN_X[:-1] + "ｘ",
        f"  {ENDS_IN_X[:6]} {ENDS_IN_X[6:14]}\u3000{ENDS_IN_X[14:]}\n",
        "".join(chr(ord(c) + 0xFEE0) for c in ENDS_IN_X),
        f"'{ENDS_IN_X}",
        f"\ufeff{ENDS_IN_X}\u200b",
    ],
)
def test_dirt_that_leaves_no_doubt_is_repaired(dirty: str) -> None:
    assert str(ResidentId.parse(dirty, on=TODAY)) == ENDS_IN_X


def test_a_15_digit_id_becomes_the_18_characters_of_the_same_person() -> None:
    assert str(ResidentId.parse("110105491231002", on=TODAY)) == "11010519491231002X"


@pytest.mark.parametrize("damaged", ["5.3E+17", "5.30102E+17", "5.30102197001E17", "530102197001010000"])
def test_an_id_that_a_spreadsheet_turned_into_a_number_is_named_as_such(damaged: str) -> None:
    with pytest.raises(SpreadsheetDamagedId):
        ResidentId.parse(damaged, on=TODAY)


@pytest.mark.parametrize("text", ["", "53010219440812001", "5301021944081200155", "53010219440812001Y", "护照E1234567"])
def test_what_is_no_resident_id_at_all_is_refused(text: str) -> None:
    with pytest.raises(NotAResidentId):
        ResidentId.parse(text, on=TODAY)


@given(position=st.integers(0, 16), shift=st.integers(1, 9))
def test_any_single_mistyped_digit_is_caught(position: int, shift: int) -> None:
    digit = str((int(ELDER[position]) + shift) % 10)
    with pytest.raises((WrongIdChecksum, SpreadsheetDamagedId)):
        ResidentId.parse(ELDER[:position] + digit + ELDER[position + 1 :], on=TODAY)


@pytest.mark.parametrize("birth", ["19700230", "19701301", "19700100", "18500101", "00000101"])
def test_an_impossible_birth_date_is_refused(birth: str) -> None:
    with pytest.raises(ImpossibleBirthDate):
        ResidentId.parse(with_check(f"530102{birth}001"), on=TODAY)


def test_a_birth_is_refused_until_the_day_itself() -> None:
    number = with_check("53010220260302001")
    with pytest.raises(FutureBirthDate):
        ResidentId.parse(number, on=date(2026, 3, 1))
    assert ResidentId.parse(number, on=date(2026, 3, 2)).birth_date == date(2026, 3, 2)


def test_neither_errors_nor_repr_hold_the_number() -> None:
    with pytest.raises(WrongIdChecksum) as refused:
        ResidentId.parse(ELDER[:-1] + "6", on=TODAY)
    assert ELDER[6:14] not in str(refused.value)
    assert "MOD 11-2" in str(refused.value)
    assert repr(ResidentId.parse(ELDER, on=TODAY)) == "ResidentId(530102********0015)"


def test_a_certificate_number_tells_category_level_and_reissue() -> None:
    certificate = CertificateNumber.parse(ELDER + "42B3", on=TODAY)
    assert (certificate.category, certificate.level, certificate.reissue) == ("physical", 2, 3)
    assert str(certificate) == ELDER + "42B3"
    assert str(CertificateNumber.parse(f" {ELDER} ７1 ", on=TODAY)) == ELDER + "71"
    assert str(CertificateNumber.parse(ELDER + "42b1", on=TODAY)) == ELDER + "42B1"
    assert ELDER[6:14] not in repr(certificate)


@pytest.mark.parametrize("tail", ["", "4", "02", "82", "40", "45", "42B", "42B0", "42C1", "421"])
def test_a_certificate_number_with_a_wrong_tail_is_refused(tail: str) -> None:
    with pytest.raises(NotACertificateNumber):
        CertificateNumber.parse(ELDER + tail, on=TODAY)


def test_a_certificate_number_is_refused_for_the_id_inside_it() -> None:
    with pytest.raises(WrongIdChecksum):
        CertificateNumber.parse(ELDER[:-1] + "642", on=TODAY)


def test_a_certificate_belongs_to_the_person_whose_id_it_holds() -> None:
    certificate = CertificateNumber.parse(ELDER + "42", on=TODAY)
    certificate.require_holder(ResidentId.parse(ELDER, on=TODAY))
    with pytest.raises(CertificateOfAnotherPerson):
        certificate.require_holder(ResidentId.parse(ENDS_IN_X, on=TODAY))


@pytest.mark.parametrize("dot", ["\u2022", "\u30fb", "\u2027", "\uff0e", "\uff65", "\u00b7", ".", " · "])
def test_every_dot_of_a_minority_name_becomes_the_middle_dot(dot: str) -> None:
    assert parse_name(f"阿依{dot}古丽") == "阿依\u00b7古丽"


def test_han_characters_stay_exactly_as_they_are() -> None:
    rare = "\u4dae\U00020087\U0002ceff\U000323af\ufa0e\uf900\u2f08\u3007"
    assert parse_name(rare) == rare


def test_spaces_inside_a_han_name_go_and_those_of_a_latin_name_stay_single() -> None:
    assert parse_name(" 张\u3000三 ") == "张三"
    assert parse_name("ＪＯＨＮ   Smith") == "JOHN Smith"


def test_fifty_characters_are_a_name_and_none_are_not() -> None:
    assert len(parse_name("阿" * 50)) == 50
    with pytest.raises(EmptyName):
        parse_name(" \u200b ")
    with pytest.raises(NameTooLong):
        parse_name("阿" * 101)


def test_names_compare_after_repair_but_variants_of_a_character_are_different() -> None:
    assert same_name("阿依•古丽", "阿依·古丽")
    assert same_name("张 三", "张三")
    assert same_name("葛\U000e0100", "葛")
    assert not same_name("\u4dae", "\u9f91")
    assert not same_name("\uf900", "\u8c48")


def test_a_name_from_gb18030_keeps_nothing_private_that_has_a_place_in_unicode() -> None:
    assert b"\xa6\xd9".decode("gb18030") == "\ue78d"
    assert parse_name(b"\xa6\xd9".decode("gb18030")) == ","
    assert parse_name(b"\xfe\x9f".decode("gb18030")) == "\u4dae"
    assert parse_name(b"\xfe\x51\xfe\x59\xfe\xa0".decode("gb18030")) == "\U00020087\u9fb4\u9fbb"
    moved = parse_name(b"".join(bytes((0xFE, t)) for t in [*range(0x50, 0x7F), *range(0x80, 0xA1)]).decode("gb18030"))
    assert len(moved) == 80
    assert not any("\ue000" <= c <= "\uf8ff" for c in moved)
    assert parse_name("\ue863") == "\u4dae"


@pytest.mark.parametrize("text", ["138 0000 1234", "+86-138-0000-1234", "8613800001234", "１３８００００１２３４"])
def test_a_mobile_is_repaired(text: str) -> None:
    assert parse_phone(text) == "13800001234"


def test_a_fixed_line_is_a_phone() -> None:
    assert parse_phone("0871-65131234") == "087165131234"


@pytest.mark.parametrize("text", ["", "12345", "1380000123", "12000001234", "138000012345"])
def test_what_is_no_phone_is_refused(text: str) -> None:
    with pytest.raises(NotAPhone):
        parse_phone(text)


def test_an_odd_account_is_accepted_with_warnings() -> None:
    assert parse_account("6222 0212 3456 7894") == "6222021234567894"
    assert account_warnings("4111111111111111") == ["not_unionpay"]
    assert account_warnings("4111111111111112") == ["luhn_fails", "not_unionpay"]
    with pytest.raises(NotAnAccount):
        parse_account("62-12")


def test_masks_show_what_the_rules_allow() -> None:
    assert mask_id_number("53010219700101001X") == "530102********001X"
    assert mask_phone("13800001234") == "138****1234"
    assert mask_account("6222021234567890") == "************7890"
    assert mask_name("阿依·古丽") == "阿****"
    assert mask_name("\U00020087三") == "\U00020087*"


@given(st.text(max_size=20))
def test_masks_never_fail_and_never_show_a_short_value_whole(text: str) -> None:
    for mask in (mask_id_number, mask_phone, mask_account):
        masked = mask(text)
        assert len(masked) == len(text)
        assert not text or "*" in masked

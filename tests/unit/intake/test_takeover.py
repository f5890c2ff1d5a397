"""Rows of a roster that is taken over: what is repaired, what is refused, and what was paid before."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest

from libs.common.events.eligibility import EntitledMonths
from libs.common.period import Period
from services.intake.roster_files import UnreadableRoster, examine, read_rows
from services.intake.takeover import BadRow, Entry, Received, months_paid, read_row
from tests.unit.intake.samples import id_number

ON = date(2026, 11, 26)


def row(**changes: str) -> dict[str, str]:
    number = changes.pop("id_number", id_number())
    return {
        "name": "李华",
        "id_number": number,
        "certificate_number": number + "41",
        "hukou_area": "530102001",
        "low_income": "低保",
        "bank": "云南农信",
        "account": "6217001234567890128",
        "subsidies": "两项补贴",
        "first_month": "2024-05",
        "paid_until": "2026-10",
        **changes,
    }


def read(**changes: str) -> Entry:
    return read_row(row(**changes), area="530102", on=ON)


def refused(**changes: str) -> dict[str, str]:
    with pytest.raises(BadRow) as caught:
        read(**changes)
    return {problem.field: problem.reason for problem in caught.value.problems}


def span(first: str, last: str | None, amount_fen: int) -> EntitledMonths:
    told: dict[str, Any] = {"from": first, "to": last, "amount_fen": amount_fen, "area": "530102", "level": 1}
    return EntitledMonths.model_validate({**told, "policy_version": "test", "cause": "application.approved"})


def test_a_row_is_repaired_as_feeds_are() -> None:
    number = id_number(date(1970, 5, 1))
    entry = read(
        id_number=f" {number[:-1]}{number[-1].lower()} ",
        certificate_number=f"{number}41B1",
        name="阿依古丽•买买提",
        issued_on="二〇二四年三月五日",
        expires_on="２０３４/３/４",
        first_month="2024年5月",
        phone="138 8888-1234",
    )
    [declaration] = entry.declarations
    assert declaration.applicant.name == "阿依古丽·买买提"
    assert declaration.applicant.id_number == number
    assert declaration.applicant.phone == "13888881234"
    assert (entry.certificate.issued_on, entry.certificate.expires_on) == (date(2024, 3, 5), date(2034, 3, 4))
    assert declaration.applied_on == date(2024, 5, 1)
    assert entry.facts(declaration).confirmed == ("township", "cdpf", "civil_affairs")


def test_everything_that_cannot_stand_is_named_by_its_column() -> None:
    found = refused(name="", hukou_area="530302001", issued_on="昨天", level="三级", phone="12", paid_until="2027-01")
    assert set(found) == {"name", "hukou_area", "issued_on", "level", "phone", "paid_until"}
    assert "他人" in refused(certificate_number=id_number() + "41")["certificate_number"]
    assert set(refused(id_number="530102197005010019")) >= {"id_number"}


def test_silence_about_what_was_paid_is_refused_since_everything_would_be_paid_again() -> None:
    assert "未发" in refused(paid_until="")["paid_until"]
    assert read(paid_until="未发").received["living"] == Received(Period(2024, 5))


def test_subsidies_that_began_in_different_months_are_two_applications() -> None:
    entry = read(subsidies="", living_first_month="2023-01", care_first_month="2024-06")
    assert [(d.subsidies, d.applied_on) for d in entry.declarations] == [
        (("living",), date(2023, 1, 1)),
        (("care",), date(2024, 6, 1)),
    ]


def test_a_roster_vouches_for_the_certificate_since_its_first_month() -> None:
    entry = read(issued_on="2025-01-01", expires_on="2034-12-31")
    claim = entry.facts(entry.declarations[0]).certificate
    assert claim is not None
    assert (claim.issued_on, claim.expires_on) == (None, date(2034, 12, 31))


def test_who_is_on_a_guardians_account_without_right_or_reason_is_taken_over_and_the_account_is_named() -> None:
    account = {"holder": "监护人", "account_name": "李强", "guardian_id": id_number(date(1960, 1, 1))}

    def unpayable(**cells: str) -> str | None:
        entry = read(**account, **cells)
        [declaration] = entry.declarations
        assert declaration.account is not None
        assert (declaration.account.number is None) == (entry.unpayable is not None)
        return entry.unpayable and entry.unpayable.field

    number = id_number(date(1980, 1, 1))
    minded = {"id_number": number, "certificate_number": number + "61"}  # 精神一级
    assert unpayable(payee_reason="无卡") == "holder", "of age, and able to act"
    assert unpayable(**minded) == "payee_reason"
    assert unpayable(**minded, payee_reason="本人无社会保障卡", account="", bank="") == "account"
    assert unpayable(**minded, payee_reason="本人无社会保障卡") is None


def test_a_guardians_account_is_told_with_its_holder() -> None:
    account = {"holder": "监护人", "account_name": "李强", "guardian_id": id_number(date(1960, 1, 1))}
    number = id_number(date(1980, 1, 1))
    minded = {"id_number": number, "certificate_number": number + "61"}  # 精神一级
    [declaration] = read(**account, **minded, payee_reason="本人无社会保障卡").declarations
    assert declaration.account is not None
    assert (declaration.account.holder, declaration.account.holder_name) == ("guardian", "李强")
    [institution] = read(
        **minded, holder="机构", account_name="样例县儿童福利院", org_code="12530102MB1", payee_reason="机构集中供养"
    ).declarations
    assert institution.guardian is not None
    assert institution.guardian.kind == "institution"


def test_months_paid_in_full_are_paid_what_policy_says_and_beyond_it_like_the_last() -> None:
    had = Received(Period(2025, 10), paid_until=Period(2026, 5))
    payable = [span("2025-10", "2025-12", 9_000), span("2026-01", "2026-03", 10_000)]
    assert [(str(m.from_), str(m.to), m.amount_fen) for m in months_paid(had, payable)] == [
        ("2025-10", "2025-12", 9_000),
        ("2026-01", "2026-05", 10_000),
    ]


def test_months_paid_may_be_told_one_by_one() -> None:
    entry = read(living_paid="2024-05~2025-12：90.5；2026-03:100元")
    told = [(str(m.from_), str(m.to), m.amount_fen) for m in months_paid(entry.received["living"], [])]
    assert told == [("2024-05", "2025-12", 9_050), ("2026-03", "2026-03", 10_000)]
    for wrong in ("2024-05~2024-04:90", "2024-05:90;2024-05:90", "2024-04:90", "2024-05", "2024-05:0"):
        assert "living_paid" in refused(living_paid=wrong), wrong
    assert "exclude" in refused(living_paid="2024-05:90", living_paid_until="2024-05")["living_paid"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_read_from_any_row_on(encoding: str) -> None:
    text = "县现有发放花名册,,,\n姓名,身份证号,残疾人证号,户籍地代码,备注\n甲,1,2,3,x\n\n乙,1,2,3,x\n丙,1,2,3\n"
    content = text.encode(encoding)
    layout = examine(io.BytesIO(content))
    assert (layout.format, layout.rows) == ("csv", 4)
    rows = list(read_rows(iter([content]), "csv", layout.encoding))
    assert [(r.number, (r.cells or {}).get("name")) for r in rows if not r.is_blank] == [
        (3, "甲"),
        (5, "乙"),
        (6, "丙"),
    ]
    assert list(read_rows(iter([content[:30], content[30:]]), "csv", layout.encoding, after=2)) == rows[2:]


def test_a_file_without_the_needed_columns_is_no_roster() -> None:
    for content in (
        b"a,b\n1,2\n",
        "姓名,身份证号\n".encode(),
        b"",
        b"PK\x03\x04 but no workbook",
        "姓名".encode("utf-16"),
    ):
        with pytest.raises(UnreadableRoster):
            examine(io.BytesIO(content))

"""Who a person is on paper: resident ID, certificate number, name, phone, account.

Everything that arrives is repaired where the repair is certain and refused, by name, where it is not. Error messages
never hold the value itself: they end up in answers, reject lists and logs.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Literal

from libs.common.vocabulary import CATEGORIES, Category

OLDEST_YEARS = 130
"""Nobody alive or lately dead was born longer ago than this."""


class InvalidIdentity(ValueError):
    """Not a valid identity."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class NotAResidentId(InvalidIdentity):
    """居民身份证号应为 18 位 (a resident ID has 17 digits and a digit or X; or 15 digits, before 1999)."""


class SpreadsheetDamagedId(InvalidIdentity):
    """身份证号末位被电子表格丢失, 请按文本重新录入 (a spreadsheet lost its last digits; type it again)."""


class WrongIdChecksum(InvalidIdentity):
    """身份证号校验位不符, 有一位录错 (the last character does not match the others by ISO 7064 MOD 11-2)."""


class ImpossibleBirthDate(InvalidIdentity):
    """身份证号中的出生日期不可能 (a birth date that no calendar has or nobody alive can have)."""


class FutureBirthDate(InvalidIdentity):
    """身份证号中的出生日期晚于今天 (a birth date that is still to come)."""


class NotACertificateNumber(InvalidIdentity):
    """残疾人证号应为身份证号加类别、等级各一位, 补换证再加 B1、B2 … (resident ID, category, level, reissue)."""


class CertificateOfAnotherPerson(InvalidIdentity):
    """残疾人证号所含身份证号是他人的 (the certificate number holds another person's resident ID)."""


class EmptyName(InvalidIdentity):
    """姓名未填 (the name is empty)."""


class NameTooLong(InvalidIdentity):
    """姓名超过 100 字 (the name is longer than 100 characters)."""


class NotAPhone(InvalidIdentity):
    """电话应为 11 位手机号或带区号的固定电话 (a mobile number of 11 digits or a fixed line with area code)."""


class NotAnAccount(InvalidIdentity):
    """银行账号应为 8 至 32 位数字 (an account number has 8 to 32 digits)."""


def _compact(text: str) -> str:
    """Full-width letters and digits as ASCII; no spaces, invisible characters or spreadsheet apostrophes."""
    if text.isascii() and text.isalnum():
        return text
    plain = unicodedata.normalize("NFKC", text)
    return "".join(c for c in plain if not c.isspace() and unicodedata.category(c)[0] != "C").lstrip("'’`")


# --- resident ID -------------------------------------------------------------------------------------------------

_ID = re.compile(r"^\d{17}[\dX]$")
_OLD_ID = re.compile(r"^\d{15}$")
_SPREADSHEET = re.compile(r"^\d(\.\d+)?E\+?\d{2}$")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = "10X98765432"


def check_character(first_17: str) -> str:
    """The 18th character for 17 digits by ISO 7064 MOD 11-2 (GB 11643-1999)."""
    total = sum(map(operator.mul, map(int, first_17), _WEIGHTS))
    return _CHECK_CHARACTERS[total % 11]


@dataclass(frozen=True, slots=True, repr=False)
class ResidentId:
    """An 18-character resident ID (公民身份号码) whose checksum and birth date hold.

    Its first six digits are the area of first registration, long abolished perhaps: they are never judged.
    `str()` gives the whole number; `repr()`, which logs may use, the masked one.
    """

    number: str

    @classmethod
    def parse(cls, text: str, *, on: date) -> ResidentId:
        """The ID that `text` writes, repaired; births after `on` are refused. Raises an `InvalidIdentity`."""
        compact = _compact(text).upper().replace("×", "X")
        if _OLD_ID.match(compact):
            compact = _renumbered(compact)
        if _SPREADSHEET.match(compact):
            raise SpreadsheetDamagedId
        if not (_ID.match(compact) and compact.isascii()):
            raise NotAResidentId
        if check_character(compact[:17]) != compact[17]:
            # Spreadsheets keep 15 significant digits and write zeros for the rest.
            raise SpreadsheetDamagedId if compact.endswith("000") else WrongIdChecksum
        parsed = cls(compact)
        try:
            born = parsed.birth_date
        except ValueError:
            raise ImpossibleBirthDate from None
        if born > on:
            raise FutureBirthDate
        if on.year - born.year > OLDEST_YEARS:
            raise ImpossibleBirthDate
        return parsed

    @property
    def birth_date(self) -> date:
        return date(int(self.number[6:10]), int(self.number[10:12]), int(self.number[12:14]))

    @property
    def last4(self) -> str:
        """What a person gives to ask for progress without a login."""
        return self.number[-4:]

    @property
    def masked(self) -> str:
        return mask_id_number(self.number)

    def __str__(self) -> str:
        return self.number

    def __repr__(self) -> str:
        return f"ResidentId({self.masked})"


def _renumbered(old: str) -> str:
    """The 18 characters of a 15-digit ID: their holders were all born in the 1900s or are dead by now."""
    first_17 = f"{old[:6]}19{old[6:]}"
    return first_17 + check_character(first_17)


# --- certificate number ------------------------------------------------------------------------------------------

_CERTIFICATE = re.compile(r"^(?P<id>\d{17}[\dX])(?P<category>[1-7])(?P<level>[1-4])(?:B(?P<reissue>[1-9]\d?))?$")


@dataclass(frozen=True, slots=True, repr=False)
class CertificateNumber:
    """A disability certificate's number (残疾人证号). It changes on re-assessment: key persons by the resident ID."""

    resident_id: ResidentId
    category: Category
    level: int
    reissue: int = 0
    """0 for the first certificate, n for the one that ends in Bn."""

    @classmethod
    def parse(cls, text: str, *, on: date) -> CertificateNumber:
        """The number that `text` writes, repaired. Raises an `InvalidIdentity`, also for the ID inside."""
        compact = _compact(text).upper().replace("×", "X")
        if _SPREADSHEET.match(compact):
            raise SpreadsheetDamagedId
        match = _CERTIFICATE.match(compact)
        if match is None or not compact.isascii():
            raise NotACertificateNumber
        return cls(
            resident_id=ResidentId.parse(match["id"], on=on),
            category=CATEGORIES[int(match["category"]) - 1],
            level=int(match["level"]),
            reissue=int(match["reissue"] or 0),
        )

    def require_holder(self, resident_id: ResidentId) -> None:
        """Raises `CertificateOfAnotherPerson` unless the number is built on `resident_id`."""
        if self.resident_id != resident_id:
            raise CertificateOfAnotherPerson

    @property
    def number(self) -> str:
        reissue = f"B{self.reissue}" if self.reissue else ""
        return f"{self.resident_id}{CATEGORIES.index(self.category) + 1}{self.level}{reissue}"

    @property
    def masked(self) -> str:
        """Category and level are hidden too: they are sensitive (个人信息保护法 art. 28)."""
        return self.resident_id.masked + "**"

    def __str__(self) -> str:
        return self.number

    def __repr__(self) -> str:
        return f"CertificateNumber({self.masked})"


# --- names -------------------------------------------------------------------------------------------------------

NAME_LIMIT = 100
_MIDDLE_DOT = "·"
# Bullets, katakana dots and full stops that keyboards offer instead of the U+00B7 of minority names.
_DOTS = dict.fromkeys(map(ord, "•・‧．･∙⋅"), _MIDDLE_DOT)
_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PLAIN_NAME = re.compile(f"[{_HAN}]+(?:{_MIDDLE_DOT}[{_HAN}]+)*")
_NOT_HAN = re.compile(f"[^{_HAN}]+")
_DOT_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}])\s*[.{_MIDDLE_DOT}]+\s*(?=[{_HAN}])")
_SPACE_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}])\s+(?=[{_HAN}])")


def _private_use_characters() -> dict[int, str]:
    """Private-use code points that GB 18030-2000 and GBK gave to characters which have a place in Unicode now.

    The 80 characters of FE50-FEA0 stood at U+E815-U+E864; Python's codec knows the place of all but 14 of them.
    GB 18030-2022 (table of changed mappings) gives these 14, and the ten vertical forms of A6D9-A6F3.
    """
    trail_bytes = [*range(0x50, 0x7F), *range(0x80, 0xA1)]
    moved = {0xE815 + i: bytes((0xFE, trail)).decode("gb18030") for i, trail in enumerate(trail_bytes)}
    moved |= dict(zip(range(0xE78D, 0xE797), "︐︒︑︓︔︕︖︗︘︙", strict=True))
    kept_private = (0xE81E, 0xE826, 0xE82B, 0xE82C, 0xE832, 0xE843, 0xE854, 0xE864)
    moved |= {code: chr(0x9FB4 + i) for i, code in enumerate(kept_private)}
    plane_2 = {0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC, 0xE831: 0x215D7, 0xE83B: 0x2298F, 0xE855: 0x241FE}
    return moved | {code: chr(character) for code, character in plane_2.items()}


_PRIVATE_USE = _private_use_characters()


def parse_name(text: str) -> str:
    """A person's name, repaired: middle dots are U+00B7, other punctuation and letters are NFKC, spaces are single, and
    none stand between Han characters. Han characters stay exactly as they are. Raises `EmptyName`, `NameTooLong`."""
    if len(text) <= NAME_LIMIT and _PLAIN_NAME.fullmatch(text):
        return text  # as nearly all are; nothing below would change it
    name = text.translate(_PRIVATE_USE).translate(_DOTS)
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf"))
    name = _NOT_HAN.sub(lambda run: unicodedata.normalize("NFKC", run[0]), name)
    name = _DOT_BETWEEN_HAN.sub(_MIDDLE_DOT, " ".join(name.split()))
    name = _SPACE_BETWEEN_HAN.sub("", name)
    if not name:
        raise EmptyName
    if len(name) > NAME_LIMIT:
        raise NameTooLong
    return name


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same once repaired; letter case and variation selectors do not tell persons apart."""
    return _comparable(one) == _comparable(other)


def _comparable(name: str) -> str:
    return re.sub("[\ufe00-\ufe0f\U000e0100-\U000e01ef]", "", parse_name(name)).casefold()


# --- phones and accounts -----------------------------------------------------------------------------------------

_MOBILE = re.compile(r"^1[3-9]\d{9}$")
_FIXED_LINE = re.compile(r"^0\d{9,11}$")


def parse_phone(text: str) -> str:
    """Digits of a mainland phone; spaces, dashes and +86 are dropped. Raises `NotAPhone`."""
    digits = re.sub(r"[-()—–]", "", _compact(text))
    digits = re.sub(r"^(\+86|0086|86(?=1\d{10}$))", "", digits)
    if not (_MOBILE.match(digits) or _FIXED_LINE.match(digits)):
        raise NotAPhone
    return digits


AccountWarning = Literal["luhn_fails", "not_unionpay"]


def parse_account(text: str) -> str:
    """Digits of a bank account or card. Raises `NotAnAccount`; see `account_warnings` for what is only odd."""
    digits = _compact(text).replace("-", "")
    if not (digits.isascii() and digits.isdigit() and 8 <= len(digits) <= 32):
        raise NotAnAccount
    return digits


def account_warnings(number: str) -> list[AccountWarning]:
    """What is odd about a parsed account; never a reason to refuse, since older passbook accounts fail both."""
    warnings: list[AccountWarning] = []
    if not _luhn_holds(number):
        warnings.append("luhn_fails")
    if not number.startswith("62"):
        warnings.append("not_unionpay")
    return warnings


_DOUBLED = tuple(sum(divmod(2 * digit, 10)) for digit in range(10))
"""Twice a digit, and of two digits their sum."""


def _luhn_holds(number: str) -> bool:
    doubled = map(_DOUBLED.__getitem__, map(int, number[-2::-2]))
    return (sum(doubled) + sum(map(int, number[::-2]))) % 10 == 0


# --- masks -------------------------------------------------------------------------------------------------------


def mask_id_number(number: str) -> str:
    """`530102********001X`."""
    return _masked(number, head=6, tail=4, at_least=15)


def mask_phone(phone: str) -> str:
    """`138****1234`."""
    return _masked(phone, head=3, tail=4, at_least=11)


def mask_account(number: str) -> str:
    """Only the last four digits."""
    return _masked(number, head=0, tail=4, at_least=8)


def mask_name(name: str) -> str:
    """Only the first character."""
    return _masked(name, head=1, tail=0, at_least=2)


def _masked(text: str, *, head: int, tail: int, at_least: int) -> str:
    """Stars but for `head` and `tail`; nothing but stars when the text is shorter than its kind ever is."""
    if len(text) < at_least:
        return "*" * len(text)
    return text[:head] + "*" * (len(text) - head - tail) + text[len(text) - tail :]

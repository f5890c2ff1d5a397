"""The department feeds that matching takes: one declared schema each.

A column is named as partners write it (`name`), by the title that spreadsheets carry, and by what is stored of it. What
would identify a person is never stored in plain: resident IDs become person ids, names are sealed and tokenised,
account and household numbers are tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from libs.common.errors import NotFound
from libs.common.vocabulary import CATEGORIES, BenefitKind, CertificateStatus, CustodyKind, IncomeCategory

if TYPE_CHECKING:
    from libs.common.auth import Role  # what it brings along would make the start of each child slower

Form = Literal[
    "resident_id",
    "certificate_number",
    "name",
    "secret",
    "account",
    "date",
    "month_end",
    "whole_number",
    "level",
    "yes_no",
    "area",
    "word",
    "text",
]
"""How a cell is read. `month_end`: a period, stored as its last day. `secret` and `account`: stored as a keyed token
only; that of an account is the one that intake knows it by."""

TOKENS: tuple[Form, ...] = ("secret", "account")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `required` cells must be filled; `stored` is the name in Parquet, `words` the words it may hold."""

    name: str
    title: str
    form: Form
    stored: str
    required: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One department's feed. `authority` is the role whose own word on it is a fact, None where it is only a lead."""

    name: str
    title: str
    columns: tuple[Column, ...]
    authority: Role | None = None

    def column_named(self, heading: str) -> Column | None:
        """The column that a heading means: its name or its title, in any letter case."""
        plain = heading.strip().lstrip("\ufeff").lower()
        return next((column for column in self.columns if plain in (column.name, column.title)), None)


def _id_number() -> Column:
    return Column("id_number", "身份证号", "resident_id", "person_id", required=True)


def _name() -> Column:
    return Column("name", "姓名", "name", "name")


def _area() -> Column:
    return Column("area", "行政区划代码", "area", "area")


def _word(name: str, title: str, words: tuple[str, ...]) -> Column:
    return Column(name, title, "word", name, required=True, words=words)


def _day(name: str, title: str, stored: str, *, required: bool = False) -> Column:
    return Column(name, title, "date", stored, required=required)


def _interval(*, required: bool = True) -> tuple[Column, Column]:
    return _day("from", "起始日期", "from_on", required=required), _day("to", "终止日期", "to_on")


_LAST_PAID = Column("last_paid_period", "最后发放月份", "month_end", "last_paid_on")

_ALL = (
    Source(
        "certificates",
        "残疾人证",
        (
            _name(),
            _id_number(),
            Column("certificate_number", "残疾人证号", "certificate_number", "reissue"),
            Column("category", "残疾类别", "word", "category", words=CATEGORIES),
            Column("level", "残疾等级", "level", "level"),
            _day("issued_on", "发证日期", "issued_on"),
            _day("expires_on", "有效期至", "expires_on"),
            _word("status", "状态", get_args(CertificateStatus)),
            Column("cause", "原因", "text", "cause"),
            _day("changed_on", "变更日期", "changed_on"),
            _area(),
        ),
        authority="cdpf",
    ),
    Source(
        "low_income",
        "低收入家庭",
        (
            _name(),
            _id_number(),
            _word("category", "救助类别", get_args(IncomeCategory)),
            Column("grace", "渐退", "yes_no", "grace"),
            Column("household_id", "家庭编号", "secret", "household"),
            *_interval(required=False),
            _LAST_PAID,
            _area(),
        ),
        authority="civil_affairs",
    ),
    Source(
        "cremations",
        "殡葬火化",
        (_name(), _id_number(), _day("date", "火化日期", "occurred_on", required=True), _area()),
    ),
    Source(
        "deaths",
        "卫健死亡人口",
        (_name(), _id_number(), _day("date", "死亡日期", "occurred_on", required=True), _area()),
    ),
    Source(
        "population",
        "公安人口库",
        (
            _name(),
            _id_number(),
            _word(
                "event",
                "变动",
                ("moved", "cancelled", "declared_dead", "declared_missing", "missing", "reappeared"),
            ),
            Column("reason", "原因", "text", "reason"),
            _day("date", "变动日期", "occurred_on", required=True),
            _area(),
            Column("from_area", "迁出地", "area", "from_area"),
        ),
    ),
    Source(
        "court_declarations",
        "法院宣告",
        (
            _name(),
            _id_number(),
            _word("event", "宣告", ("declared_dead", "declared_missing", "reappeared")),
            _day("date", "宣告日期", "occurred_on", required=True),
        ),
    ),
    Source(
        "prisons",
        "监狱服刑",
        (_name(), _id_number(), *_interval(), _word("kind", "羁押类别", get_args(CustodyKind))),
    ),
    Source(
        "benefits",
        "其他补贴",
        (
            _id_number(),
            _word("kind", "补贴种类", get_args(BenefitKind)),
            Column("amount_fen", "金额（分）", "whole_number", "amount_fen"),
            *_interval(),
            _LAST_PAID,
            _area(),
        ),
        authority="civil_affairs",
    ),
    Source(
        "social_cards",
        "社会保障卡",
        (
            _id_number(),
            Column("bank", "银行", "text", "bank"),
            Column("number", "账号", "account", "account"),
            _word("status", "状态", ("active", "inactive", "none")),
        ),
    ),
    Source(
        "guardianships",
        "监护关系",
        (
            _id_number(),
            Column("guardian_name", "监护人姓名", "name", "guardian_name"),
            Column("guardian_id_number", "监护人身份证号", "resident_id", "guardian_person_id", required=True),
            *_interval(),
        ),
    ),
    Source(
        "institution_residents",
        "机构供养",
        (_id_number(), Column("org_code", "机构代码", "text", "org_code", required=True), *_interval()),
    ),
    Source(
        "national_roster",
        "全国系统名册",
        (_id_number(), _word("subsidy", "补贴项目", ("living", "care")), _area(), *_interval()),
    ),
    Source(
        "paper_roster",
        "纸质名册",
        (_id_number(), _word("subsidy", "补贴项目", ("living", "care")), _area(), *_interval()),
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}

COMPARED = (
    "certificates",
    "low_income",
    "deaths",
    "cremations",
    "population",
    "court_declarations",
    "prisons",
    "benefits",
)
"""What a comparison sets against the roster (notice 3); `sql/` has a file of each name."""


def source_named(name: str) -> Source:
    if name not in SOURCES:
        raise NotFound(f"no source {name}; there are {', '.join(SOURCES)}")
    return SOURCES[name]

"""Taking over an existing roster (存量接管): what a row says, and what was paid elsewhere; pure.

A row names a recipient as the office that paid so far keeps them. It is repaired and judged like an application's
declaration; what cannot stand is named by its column, and never quoted. A recipient whose two subsidies began in
different months becomes two applications, each from its own first month.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from libs.common.areas import NotAnArea, level_of, parse_area
from libs.common.cells import UNREADABLE, BadCell, parse_date, parse_level, parse_month, parse_yes_no
from libs.common.errors import DomainError, InvalidInput
from libs.common.events.eligibility import EntitledMonths
from libs.common.events.intake import ApplicationFacts, CertificateClaim, Component, LowIncomeClaim, PaidMonths
from libs.common.identity import (
    CertificateNumber,
    InvalidIdentity,
    ResidentId,
    parse_account,
    parse_name,
    parse_phone,
)
from libs.common.period import Period
from libs.common.vocabulary import (
    STAGES,
    SUBSIDIES,
    Subsidy,
)
from services.intake.applications import require_components
from services.intake.declarations import Applicant, DeclaredFacts, DeclaredLowIncome, RosterDeclaration
from services.intake.payee import (
    Account,
    BankAccount,
    Guardian,
    comes_of_age_on,
    has_severe_mind_disability,
    with_holder,
    wrong_with_guardians,
)
from services.intake.roster_words import (
    CATEGORIES,
    HOLDERS,
    INCOMES,
    NAMED_SUBSIDIES,
    NOTHING_PAID,
    STATUSES,
)

T = TypeVar("T")

_COMPONENT = re.compile(r"(\D+?)[:：]?\s*([1-4一二三四])级?")
_SPAN = re.compile(r"(?P<first>[^~:]+)(?:~(?P<last>[^:]+))?:(?P<yuan>\d{1,6}(?:\.\d{1,2})?)元?")
_PLAIN_NAME = re.compile("[\u4e00-\u9fa5]{1,20}")
_EARLIEST = Period(2016, 1)
"""The two subsidies began with 国发〔2015〕52号, in force since 2016-01-01."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was not taken: the column, and what is wrong with it."""

    field: str
    reason: str


class BadRow(ValueError):
    """The row cannot be taken over; `problems` says why, column by column."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.reason}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Received:
    """What a recipient had of one subsidy before: since when, and either until when it was paid in full, or so much for
    each month."""

    first: Period
    paid_until: Period | None = None
    paid: tuple[PaidMonths, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """A sound row: the declaration of each application that it becomes, the facts, and what was paid before.

    `unpayable`: why nothing may go to the guardian's account that the roster has. Who is entitled is taken over all the
    same, without an account, and paid once there is one that may be paid to (notice 4.4)."""

    declarations: tuple[RosterDeclaration, ...]
    certificate: CertificateClaim
    birth_date: date
    received: Mapping[Subsidy, Received]
    unpayable: Problem | None = None

    @property
    def id_number(self) -> str:
        return self.declarations[0].applicant.id_number

    def facts(self, declaration: RosterDeclaration) -> ApplicationFacts:
        """The roster vouches for a certificate since its own first month: it tells the date of the present one only,
        and most of those paid since then have renewed theirs. Every other fact is as the row has it."""
        issued_on = self.certificate.issued_on
        if issued_on is not None and issued_on > declaration.applied_on:
            issued_on = None
        stated = declaration.facts or DeclaredFacts()
        return ApplicationFacts(
            certificate=self.certificate.model_copy(update={"issued_on": issued_on}),
            low_income=stated.low_income
            and LowIncomeClaim(category=stated.low_income.category, from_=stated.low_income.from_),
            residence_area=declaration.applicant.hukou_area,
            long_term_care=stated.long_term_care,
            confirmed=STAGES,
            birth_year=self.birth_date.year,
        )

    def __repr__(self) -> str:
        return "Entry()"


def read_row(cells: Mapping[str, str], *, area: str, on: date) -> Entry:
    """What a row says, repaired, `on` the day of the takeover. BadRow names everything that cannot stand."""
    reader = _Reader(cells)
    resident = reader.needed("id_number", lambda text: ResidentId.parse(text, on=on))
    number = reader.needed("certificate_number", lambda text: CertificateNumber.parse(text, on=on))
    name = reader.needed("name", _name)
    hukou_area = reader.needed("hukou_area", lambda text: _area(text, within=area))
    phone = reader.given("phone", parse_phone)
    if resident is not None and number is not None and number.resident_id != resident:
        reader.refuse("certificate_number", "证号所含身份证号是他人的 (is built on another person's ID)")
    certificate = None if number is None else _certificate(reader, number, on=on)
    low_income = _low_income(reader, on=on)
    received = _received(reader, on=on)
    if resident is not None:
        for subsidy, had in received.items():
            if had.first.last_day < resident.birth_date:
                reader.refuse(f"{subsidy}_first_month", "早于出生日期 (lies before the birth)")
    guardian, account = _payee(reader, on=on)
    if guardian is not None and resident is not None and guardian.id_number == str(resident):
        reader.refuse("guardian_id", "与本人身份证号相同 (is the recipient's own)")
    long_term_care = reader.given("long_term_care", parse_yes_no)
    reader.raise_if_refused()
    assert resident is not None
    assert certificate is not None
    assert name is not None
    assert hukou_area is not None

    unpayable = None
    if guardian is not None:
        cannot_act = on < comes_of_age_on(resident.birth_date) or has_severe_mind_disability(
            certificate.category, certificate.level, [(part.category, part.level) for part in certificate.components]
        )
        if (wrong := wrong_with_guardians(account, cannot_act=cannot_act)) is not None:
            unpayable = Problem(_PAYEE_COLUMNS[wrong[0]], wrong[1])
            account = Account(holder="own", status="none")
    try:
        account = with_holder(account, person_name=name, guardian=guardian)
    except InvalidInput as refusal:
        raise BadRow([Problem(_PAYEE_COLUMNS[item["path"]], item["message"]) for item in refusal.errors]) from None
    applicant = Applicant.model_construct(
        name=name,
        id_number=str(resident),
        certificate_number=str(number),
        components=certificate.components,
        phone=phone,
        hukou_area=hukou_area,
    )
    by_first: dict[Period, list[Subsidy]] = {}
    for subsidy, had in received.items():
        by_first.setdefault(had.first, []).append(subsidy)
    declarations = tuple(
        RosterDeclaration.model_construct(
            applicant=applicant,
            guardian=guardian,
            subsidies=tuple(subsidies),
            applied_on=first.first_day,
            account=account,
            facts=DeclaredFacts(long_term_care=long_term_care, low_income=low_income),
        )
        for first, subsidies in sorted(by_first.items())
    )
    return Entry(declarations, certificate, resident.birth_date, received, unpayable)


def months_paid(had: Received, months: Sequence[EntitledMonths]) -> tuple[PaidMonths, ...]:
    """What was paid elsewhere, so much for each month. Paid in full until a month, it was paid what `months` say is
    payable; a month that is not payable was paid like the last one before it, else like the first."""
    if had.paid or had.paid_until is None:
        return had.paid
    months = [span for span in months if span.to is None or span.to >= had.first]
    amounts = {had.first: months[0].amount_fen}
    for span in months:
        if span.from_ <= had.paid_until:
            amounts[max(span.from_, had.first)] = span.amount_fen
    begins = [
        period for period, before in zip(amounts, (None, *amounts.values()), strict=False) if amounts[period] != before
    ]
    ends = [*(period.previous for period in begins[1:]), had.paid_until]
    return tuple(
        PaidMonths(from_=begin, to=end, amount_fen=amounts[begin]) for begin, end in zip(begins, ends, strict=True)
    )


class _Reader:
    """The cells of one row, and what is wrong with them."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._cells = cells
        self._problems: list[Problem] = []

    def text(self, column: str) -> str | None:
        text = self._cells.get(column, "").strip()
        if UNREADABLE in text:
            self.refuse(column, "含有无法识别的字符 (holds characters that cannot be read in the file's encoding)")
            return None
        return text or None

    def given(self, column: str, parse: Callable[[str], T]) -> T | None:
        """What the cell says; None where it is empty, or wrong, which is noted."""
        text = self.text(column)
        if text is None:
            return None
        try:
            return parse(text)
        except (InvalidIdentity, BadCell) as error:
            self.refuse(column, str(error))
            return None

    def needed(self, column: str, parse: Callable[[str], T]) -> T | None:
        if not self._cells.get(column, "").strip():
            self.refuse(column, "未填 (is empty)")
            return None
        return self.given(column, parse)

    def word(self, column: str, words: Mapping[str, T]) -> T | None:
        def parse(text: str) -> T:
            plain = unicodedata.normalize("NFKC", text).replace(" ", "").lower()
            if plain not in words:
                raise BadCell(f"不是可填的词 (is none of {', '.join(words)})")
            return words[plain]

        return self.given(column, parse)

    def refuse(self, column: str, reason: str) -> None:
        self._problems.append(Problem(column, reason))

    def raise_if_refused(self) -> None:
        if self._problems:
            raise BadRow(self._problems)


_PAYEE_COLUMNS = {
    "holder": "holder",
    "reason": "payee_reason",
    "status": "account",
    "number": "account",
    "bank": "bank",
    "holder_name": "account_name",
}
"""Which column each field of an account is read from."""


def _name(text: str) -> str:
    # Most names are two to four common characters, which no repair touches.
    return text if _PLAIN_NAME.fullmatch(text) else parse_name(text)


def _area(text: str, *, within: str) -> str:
    try:
        area = parse_area(unicodedata.normalize("NFKC", text).removesuffix(".0"))
        if level_of(area) not in ("county", "township"):
            raise BadCell("不是县级（6 位）或乡镇级（9 位）区划代码 (is neither a county nor a township)")
    except NotAnArea as error:
        raise BadCell(str(error)) from None
    if not area.startswith(within):
        raise BadCell(f"不在 {within} 辖区内 (lies outside the area whose roster this is)")
    return area


def _certificate(reader: _Reader, number: CertificateNumber, *, on: date) -> CertificateClaim:
    """As the number says; category and level, where the row gives them, must agree with it."""
    category, level = reader.word("category", CATEGORIES), reader.given("level", parse_level)
    if category is not None and category != number.category:
        reader.refuse("category", "与残疾人证号不符 (is not the one in the certificate's number)")
    if level is not None and level != number.level:
        reader.refuse("level", "与残疾人证号不符 (is not the one in the certificate's number)")
    components = reader.given("components", _components) or ()
    try:
        require_components("components", number.category, number.level, components)
    except DomainError as refusal:
        for problem in refusal.errors:
            reader.refuse("components", problem["message"])
    issued_on, expires_on = reader.given("issued_on", parse_date), reader.given("expires_on", parse_date)
    if issued_on is not None and issued_on > on:
        reader.refuse("issued_on", "晚于今天 (lies in the future)")
    if issued_on is not None and expires_on is not None and expires_on < issued_on:
        reader.refuse("expires_on", "早于发证日期 (lies before the day of issue)")
    return CertificateClaim(
        category=number.category,
        level=number.level,
        reissue=number.reissue,
        components=components,
        issued_on=issued_on,
        expires_on=expires_on,
        status=reader.word("certificate_status", STATUSES) or "valid",
    )


def _components(text: str) -> tuple[Component, ...]:
    """`智力二级、肢体三级`, or `intellectual:2;physical:3`."""
    found = []
    for part in re.split("[;,、，；]", unicodedata.normalize("NFKC", text)):
        match = _COMPONENT.fullmatch(part.strip())
        category = match and CATEGORIES.get(match[1].strip())
        if match is None or category is None:
            raise BadCell("应逐项写明类别和等级, 例如 智力二级、肢体三级 (is no list of categories with their levels)")
        found.append(Component(category=category, level=parse_level(match[2])))
    return tuple(found)


def _low_income(reader: _Reader, *, on: date) -> DeclaredLowIncome | None:
    category, since = reader.word("low_income", INCOMES), reader.given("low_income_from", parse_date)
    if since is not None and since > on:
        reader.refuse("low_income_from", "晚于今天 (lies in the future)")
    return None if category is None else DeclaredLowIncome(category=category, from_=since)


def _received(reader: _Reader, *, on: date) -> dict[Subsidy, Received]:
    """What was had of each subsidy. Columns of one subsidy go before those that hold for both."""
    listed = reader.word("subsidies", NAMED_SUBSIDIES)
    if reader.text("subsidies") and listed is None:
        return {}
    named = tuple(s for s in SUBSIDIES if (listed is not None and s in listed) or reader.text(f"{s}_first_month"))
    if not named:
        reader.refuse("subsidies", "未写明补贴类型 (names no subsidy)")
    found = {}
    for subsidy in named:
        if (had := _received_of(reader, subsidy, on=on)) is not None:
            found[subsidy] = had
    return found


def _received_of(reader: _Reader, subsidy: Subsidy, *, on: date) -> Received | None:
    def column(kind: str) -> str:
        return f"{subsidy}_{kind}" if reader.text(f"{subsidy}_{kind}") or kind == "paid" else kind

    first = reader.needed(column("first_month"), _month)
    if first is None:
        return None
    this_month = Period.of(on)
    if not _EARLIEST <= first <= this_month:
        reader.refuse(column("first_month"), f"应在 {_EARLIEST} 至 {this_month} 之间 (is no month between them)")
    spans, until = column("paid"), column("paid_until")
    if (told := reader.text(spans)) is not None:
        if reader.text(f"{subsidy}_paid_until"):
            reader.refuse(spans, "与末次发放月份只能填一项 (and a last paid month exclude each other)")
        paid = () if told in NOTHING_PAID else reader.given(spans, _spans) or ()
        if paid and not first <= paid[0].from_ <= paid[-1].to <= this_month:
            reader.refuse(spans, f"应在首发月份至 {this_month} 之间 (is not between them)")
        return Received(first, paid=paid)
    told = reader.text(until)
    if told is None:  # silence about money is no statement: everything would be paid once more
        reader.refuse(until, "应写明已发至哪个月, 或写 未发 (says neither until when it was paid, nor that it was not)")
        return None
    if told in NOTHING_PAID:
        return Received(first)
    last = reader.given(until, _month)
    if last is not None and not first <= last <= this_month:
        reader.refuse(until, f"应在首发月份至 {this_month} 之间 (is not between them)")
    return Received(first, paid_until=last)


def _month(text: str) -> Period:
    """A month, or a day in it, as spreadsheets make of months."""
    try:
        return parse_month(text)
    except BadCell:
        try:
            return Period.of(parse_date(text))
        except BadCell:
            raise BadCell("不是月份 (is no month, YYYY-MM)") from None


def _spans(text: str) -> tuple[PaidMonths, ...]:
    """`2025-01~2025-12:90;2026-01:100`: months, and yuan for each of them."""
    paid: list[PaidMonths] = []
    for part in re.split("[;；]", unicodedata.normalize("NFKC", text).replace(" ", "").rstrip(";")):
        match = _SPAN.fullmatch(part.replace("至", "~"))
        if match is None:
            raise BadCell("应逐段写明月份和金额, 例如 2025-01~2025-12:90;2026-01:100 (is no list of months with yuan)")
        first = parse_month(match["first"])
        last = parse_month(match["last"]) if match["last"] else first
        whole, _, cents = match["yuan"].partition(".")
        amount_fen = int(whole) * 100 + int(cents.ljust(2, "0"))
        if last < first or amount_fen == 0 or (paid and first <= paid[-1].to):
            raise BadCell("月份颠倒、重叠或没有金额 (has months that are out of order, overlap, or have no amount)")
        paid.append(PaidMonths(from_=first, to=last, amount_fen=amount_fen))
    return tuple(paid)


def _payee(reader: _Reader, *, on: date) -> tuple[Guardian | None, Account]:
    """The account, and the guardian or institution that holds it. Without an account the person is paid once there
    is one."""
    holder = reader.word("holder", HOLDERS) or "own"
    number, bank = reader.given("account", parse_account), reader.text("bank")
    holder_name, reason = reader.given("account_name", _name), reader.text("payee_reason")
    account = Account(
        holder="own" if holder == "own" else "guardian",
        bank=bank and bank[:100],
        number=number,
        status="active" if number is not None else "none",
        reason=reason and reason[:1000],
        holder_name=holder_name,
    )
    if holder == "own":
        return None, account
    if holder_name is None:
        reader.refuse("account_name", "未填, 而账户不是本人的 (is empty, and the account is a guardian's)")
        return None, account
    if holder == "institution":
        org_code = reader.needed("org_code", lambda text: text[:100])
        guardian = Guardian(kind="institution", name=holder_name, org_code=org_code)
    else:
        resident = reader.needed("guardian_id", lambda text: ResidentId.parse(text, on=on))
        guardian = Guardian(kind="person", name=holder_name, id_number=resident and str(resident))
    if number is not None:
        guardian = guardian.model_copy(update={"account": BankAccount(bank=account.bank, number=number)})
    return guardian, account

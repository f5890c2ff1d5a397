"""What an applicant declares: the body of `POST /v1/applications`, repaired and judged field by field.

Every problem is found at once and named by its path (`applicant.id_number`); messages never hold the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from libs.common.areas import Area, level_of
from libs.common.errors import InvalidInput
from libs.common.events.intake import ApplicationFacts, BenefitChoice, CertificateClaim, Component, LowIncomeClaim
from libs.common.identity import (
    CertificateNumber,
    CertificateOfAnotherPerson,
    InvalidIdentity,
    ResidentId,
    WrongIdChecksum,
    parse_account,
    parse_name,
    parse_phone,
)
from libs.common.vocabulary import BenefitKind, DoorChannel, IncomeCategory, Subsidy
from services.intake.applications import require_components
from services.intake.payee import (
    Account,
    Guardian,
    Incapacity,
    comes_of_age_on,
    has_severe_mind_disability,
    require_rightful,
)
from services.intake.words import Given, ShortWords, Words

T = TypeVar("T")


def _county_or_township(area: str) -> str:
    if level_of(area) not in ("county", "township"):
        raise ValueError("应为 6 位的县（市、区）或 9 位的乡镇（街道）代码 (a county of 6 digits or a township of 9)")
    return area


HukouArea = Annotated[Area, AfterValidator(_county_or_township)]
_NoneIsEmpty = BeforeValidator(lambda value: () if value is None else value)


class Applicant(BaseModel):
    name: Given
    id_number: Given
    certificate_number: Given
    components: Annotated[tuple[Component, ...], _NoneIsEmpty] = ()
    phone: Given | None = None
    hukou_area: HukouArea


class Agent(BaseModel):
    """Who applies for the person: a relative, the village committee's member, another agent (国发〔2015〕52号)."""

    relation: ShortWords
    name: Given
    id_number: Given
    phone: Given | None = None


class Commitment(BaseModel):
    """The signed letter of notice and commitment (政策告知承诺书, notice 1.2)."""

    signed_on: date
    version: ShortWords


class DeclaredLowIncome(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    category: IncomeCategory
    from_: date | None = Field(default=None, alias="from")


class DeclaredFacts(BaseModel):
    long_term_care: bool | None = None
    low_income: DeclaredLowIncome | None = None


class Choice(BaseModel):
    """The signed choice between our subsidy and another of its class (择高声明)."""

    kind: BenefitKind
    keep: Literal["ours", "other"]
    signed_on: date


class Matter(BaseModel):
    """Another matter that arrived together with this one (一件事一次办): kept and shown, decided elsewhere."""

    kind: ShortWords
    reference_no: ShortWords | None = None
    detail: Words | None = None


_APPLICATION: dict[str, JsonValue] = {
    "applicant": {
        "name": "阿依古丽·买买提",
        "id_number": "530102197005010018",
        "certificate_number": "53010219700501001841",
        "phone": "13888881234",
        "hukou_area": "530102001",
    },
    "subsidies": ["living", "care"],
    "applied_on": "2026-03-02",
    "channel": "online",
    "account": {"holder": "own", "bank": "云南农信", "number": "6217001234567890128", "status": "active"},
    "commitment": {"signed_on": "2026-03-02", "version": "2026-01"},
    "facts": {"long_term_care": True, "low_income": {"category": "dibao", "from": "2024-01-01"}},
}
EXAMPLES: list[JsonValue] = [_APPLICATION]
"""Made up; their numbers have sound checksums, as their test shows."""


class Declaration(BaseModel):
    """An application as its applicant declares it."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    applicant: Applicant
    agent: Agent | None = None
    guardian: Guardian | None = None
    subsidies: Annotated[tuple[Subsidy, ...], Field(min_length=1, max_length=2)]
    applied_on: date
    channel: DoorChannel
    accepted_area: Area | None = None
    account: Account | None = None
    commitment: Commitment
    facts: DeclaredFacts | None = None
    choices: Annotated[tuple[Choice, ...], _NoneIsEmpty] = ()
    incapacity: Incapacity | None = None
    matters: Annotated[tuple[Matter, ...], _NoneIsEmpty, Field(max_length=20)] = ()


class RosterDeclaration(Declaration):
    """What a roster that is taken over says of one recipient. There is no letter of commitment: it lies, if anywhere,
    where the person applied."""

    commitment: Commitment | None = None  # type: ignore[assignment]  # only of who applies it is asked
    channel: Literal["roster"] = "roster"  # type: ignore[assignment]  # no door that a person applies at


def repaired(declaration: Declaration, *, on: date) -> Declaration:
    """The declaration with every identity in its canonical form. InvalidInput lists all that cannot stand `on` that
    day: identities, future dates, a certificate of somebody else, components, an account that is not rightful."""
    problems = _Problems()
    applicant, resident_id, certificate = _applicant(declaration.applicant, on, problems)
    guardian = declaration.guardian and repaired_guardian(declaration.guardian, on=on, problems=problems)
    agent = declaration.agent and _agent(declaration.agent, on, problems)
    for path, id_number in (
        ("agent.id_number", agent and agent.id_number),
        ("guardian.id_number", guardian and guardian.id_number),
    ):
        if id_number is not None and id_number == applicant.id_number:
            problems.add(path, "是申请人本人的身份证号 (is the applicant's own)")
    if len(set(declaration.subsidies)) != len(declaration.subsidies):
        problems.add("subsidies", "同一补贴只填一次 (each at most once)")
    _require_past(declaration, on, problems)
    if resident_id is not None and certificate is not None:
        _require_same_person_throughout(declaration, resident_id, certificate, problems)
    account = declaration.account and _filled_in(declaration.account, guardian)
    if account is not None:
        with problems.collecting():
            account = repaired_account(account, path="account.")
    problems.raise_if_any()

    if account is not None:
        assert certificate is not None
        account = require_rightful(
            account,
            person_name=applicant.name,
            guardian=guardian,
            cannot_act=_cannot_act(declaration, certificate, on=declaration.applied_on),
            path="account.",
        )
    changes = {"applicant": applicant, "agent": agent, "guardian": guardian, "account": account}
    return declaration.model_copy(update=changes)


def facts_of(declaration: Declaration, *, on: date) -> ApplicationFacts:
    """What a repaired declaration says about the person; the certificate's dates are unknown yet."""
    applicant, facts = declaration.applicant, declaration.facts or DeclaredFacts()
    certificate = CertificateNumber.parse(applicant.certificate_number, on=on)
    return ApplicationFacts(
        certificate=CertificateClaim(
            category=certificate.category,
            level=certificate.level,
            reissue=certificate.reissue,
            components=applicant.components,
        ),
        low_income=facts.low_income
        and LowIncomeClaim(category=facts.low_income.category, from_=facts.low_income.from_),
        residence_area=applicant.hukou_area,
        long_term_care=facts.long_term_care,
        choices=benefit_choices(declaration.choices),
        birth_year=certificate.resident_id.birth_date.year,
    )


def benefit_choices(choices: tuple[Choice, ...]) -> tuple[BenefitChoice, ...]:
    return tuple(BenefitChoice(kind=c.kind, keep=c.keep, signed_on=c.signed_on) for c in choices)


def cannot_act(declaration: Declaration, *, on: date) -> bool:
    """Whether a repaired declaration's person could not act for themselves `on` that day (notice 4.4)."""
    return _cannot_act(declaration, CertificateNumber.parse(declaration.applicant.certificate_number, on=on), on=on)


def _cannot_act(declaration: Declaration, certificate: CertificateNumber, *, on: date) -> bool:
    components = [(part.category, part.level) for part in declaration.applicant.components]
    return (
        on < comes_of_age_on(certificate.resident_id.birth_date)
        or declaration.incapacity is not None
        or has_severe_mind_disability(certificate.category, certificate.level, components)
    )


class _Problems:
    """What is wrong, collected; a problem stops only what depends on it."""

    def __init__(self) -> None:
        self._found: list[dict[str, str]] = []

    def add(self, path: str, message: str) -> None:
        self._found.append({"path": path, "message": message})

    def parsed(self, path: str, parse: Callable[[str], T], text: str) -> T | None:
        """What the text says, or None where it has a problem."""
        try:
            return parse(text)
        except WrongIdChecksum as error:
            self.add(path, f"checksum: {error}")
        except InvalidIdentity as error:
            self.add(path, str(error))
        return None

    def canonical(self, path: str, parse: Callable[[str], object], text: str) -> str:
        """The canonical text, or the given one where it has a problem."""
        found = self.parsed(path, parse, text)
        return text if found is None else str(found)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        try:
            yield
        except InvalidInput as error:
            self._found += error.errors

    def raise_if_any(self) -> None:
        if self._found:
            detail = "; ".join(f"{problem['path']}: {problem['message']}" for problem in self._found)
            raise InvalidInput(detail, errors=self._found)


def repaired_guardian(
    guardian: Guardian, *, on: date, path: str = "guardian.", problems: _Problems | None = None
) -> Guardian:
    """The guardian with identities in canonical form. InvalidInput, unless `problems` collects."""
    found = problems or _Problems()
    changes: dict[str, object] = {"name": found.canonical(f"{path}name", parse_name, guardian.name)}
    if guardian.kind == "person":
        if guardian.id_number is None:
            found.add(f"{path}id_number", "自然人监护人须有身份证号 (a guardian of kind person has a resident ID)")
        else:
            changes["id_number"] = found.canonical(
                f"{path}id_number", partial(ResidentId.parse, on=on), guardian.id_number
            )
    elif guardian.org_code is None:
        found.add(f"{path}org_code", "机构须有统一社会信用代码 (an institution has an organisation code)")
    if guardian.phone is not None:
        changes["phone"] = found.canonical(f"{path}phone", parse_phone, guardian.phone)
    if guardian.account is not None:
        number = found.canonical(f"{path}account.number", parse_account, guardian.account.number)
        changes["account"] = guardian.account.model_copy(update={"number": number})
    if problems is None:
        found.raise_if_any()
    return guardian.model_copy(update=changes)


def repaired_account(account: Account, *, path: str = "") -> Account:
    """The account with number and holder's name in canonical form. InvalidInput names the field below `path`."""
    found = _Problems()
    changes: dict[str, object] = {}
    if account.number is not None:
        changes["number"] = found.canonical(f"{path}number", parse_account, account.number)
    if account.holder_name is not None:
        changes["holder_name"] = found.canonical(f"{path}holder_name", parse_name, account.holder_name)
    found.raise_if_any()
    return account.model_copy(update=changes)


def repaired_id_number(text: str, *, on: date, path: str = "id_number") -> str:
    """A resident ID in canonical form. InvalidInput names `path`."""
    found = _Problems()
    canonical = found.canonical(path, partial(ResidentId.parse, on=on), text)
    found.raise_if_any()
    return canonical


def repaired_phone(text: str, *, path: str = "phone") -> str:
    found = _Problems()
    canonical = found.canonical(path, parse_phone, text)
    found.raise_if_any()
    return canonical


def _applicant(
    applicant: Applicant, on: date, problems: _Problems
) -> tuple[Applicant, ResidentId | None, CertificateNumber | None]:
    """The applicant repaired, with both numbers where they have no problem."""
    id_number, certificate_number = applicant.id_number, applicant.certificate_number
    resident_id = problems.parsed("applicant.id_number", partial(ResidentId.parse, on=on), id_number)
    certificate = problems.parsed(
        "applicant.certificate_number", partial(CertificateNumber.parse, on=on), certificate_number
    )
    changes = {
        "name": problems.canonical("applicant.name", parse_name, applicant.name),
        "id_number": str(resident_id or id_number),
        "certificate_number": str(certificate or certificate_number),
        "phone": applicant.phone and problems.canonical("applicant.phone", parse_phone, applicant.phone),
    }
    return applicant.model_copy(update=changes), resident_id, certificate


def _agent(agent: Agent, on: date, problems: _Problems) -> Agent:
    return agent.model_copy(
        update={
            "name": problems.canonical("agent.name", parse_name, agent.name),
            "id_number": problems.canonical("agent.id_number", partial(ResidentId.parse, on=on), agent.id_number),
            "phone": agent.phone and problems.canonical("agent.phone", parse_phone, agent.phone),
        }
    )


def _require_past(declaration: Declaration, on: date, problems: _Problems) -> None:
    dates = {
        "applied_on": declaration.applied_on,
        "commitment.signed_on": declaration.commitment.signed_on,
        **{f"choices.{index}.signed_on": choice.signed_on for index, choice in enumerate(declaration.choices)},
    }
    if declaration.incapacity is not None:
        dates["incapacity.found_on"] = declaration.incapacity.found_on
    for path, day in dates.items():
        if day > on:
            problems.add(path, "日期尚未到来 (lies in the future)")


def _require_same_person_throughout(
    declaration: Declaration, resident_id: ResidentId, certificate: CertificateNumber, problems: _Problems
) -> None:
    try:
        certificate.require_holder(resident_id)
    except CertificateOfAnotherPerson as error:
        problems.add("applicant.certificate_number", str(error))
    if declaration.applied_on < resident_id.birth_date:
        problems.add("applied_on", "早于申请人出生日期 (before the applicant's birth)")
    components = declaration.applicant.components
    with problems.collecting():
        require_components("applicant.components", certificate.category, certificate.level, components)


def _filled_in(account: Account, guardian: Guardian | None) -> Account:
    """A guardian's account may be given with the guardian alone."""
    if account.holder != "guardian" or guardian is None or guardian.account is None:
        return account
    return account.model_copy(
        update={
            "bank": account.bank or guardian.account.bank,
            "number": account.number or guardian.account.number,
        }
    )

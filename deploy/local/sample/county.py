"""Who lives in the sample county: shares as registers of this kind show them, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Literal, TypeVar

from deploy.local.sample.people import BANKS, Registrar, any_name, birth_date, dotted_name, plain_name, rare_name
from libs.common import areas
from libs.common.period import Period
from libs.common.vocabulary import CATEGORIES, BenefitKind, Category, Channel, CustodyKind, IncomeCategory, Subsidy

FIRST_PERIOD = Period(2026, 1)
"""The first month that the sample county is paid for, unless told otherwise."""

# Shares in percent. Certificates by category follow the registers; levels and families are weighted towards those who
# apply, since who has no reason to apply is not in the sample.
_CATEGORY_SHARES: dict[Category, int] = {
    "vision": 10,
    "hearing": 8,
    "speech": 2,
    "physical": 52,
    "intellectual": 10,
    "mental": 12,
    "multiple": 6,
}
_LEVEL_SHARES: dict[Category, tuple[int, int, int, int]] = {
    "vision": (38, 24, 16, 22),
    "hearing": (38, 30, 20, 12),
    "speech": (40, 22, 22, 16),
    "physical": (16, 34, 32, 18),
    "intellectual": (12, 48, 30, 10),
    "mental": (14, 62, 20, 4),
    "multiple": (52, 32, 12, 4),
}
_FAMILY_SHARES_SEVERE: dict[IncomeCategory | None, int] = {"dibao": 45, "borderline": 7, "tekun": 4, None: 44}
_FAMILY_SHARES_MILD: dict[IncomeCategory | None, int] = {"dibao": 88, "borderline": 4, "tekun": 3, None: 5}
_CHANNEL_SHARES: dict[Channel, int] = {"counter": 70, "online": 20, "one_thing": 7, "cross_province": 3}
_MONTH_OF_APPLICATION_SHARES = {-1: 10, 0: 72, 1: 10, 2: 8}
"""Months after the first period; who applied before it is owed arrears by the first cycle."""

T = TypeVar("T")
CardStatus = Literal["active", "inactive", "none"]


@dataclass(frozen=True, slots=True)
class Account:
    bank: str
    number: str


@dataclass(frozen=True, slots=True)
class Guardian:
    kind: Literal["person", "institution"]
    name: str
    number: str
    """The guardian's resident ID, or the institution's unified social credit code."""
    phone: str
    account: Account


@dataclass(frozen=True, slots=True)
class Benefit:
    kind: BenefitKind
    amount_fen: int
    since: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """One disabled person of the sample, as departments know them before the first period."""

    name: str
    id_number: str
    birth_date: date
    township: str
    phone: str | None
    category: Category
    level: int
    components: tuple[tuple[Category, int], ...]
    """With a level each; only for `multiple`."""
    reissue: int
    issued_on: date
    family: IncomeCategory | None
    household_id: str | None
    family_since: date | None
    card: Account | None
    card_status: CardStatus
    guardian: Guardian | None
    benefits: tuple[Benefit, ...]
    subsidies: tuple[Subsidy, ...]
    applied_on: date
    channel: Channel
    keeps_ours: bool = True
    """Which of two benefits of one class the person chooses."""

    @property
    def certificate_number(self) -> str:
        reissue = f"B{self.reissue}" if self.reissue else ""
        return f"{self.id_number}{CATEGORIES.index(self.category) + 1}{self.level}{reissue}"

    @property
    def expires_on(self) -> date:
        """Ten years, the last day included."""
        return _years_later(self.issued_on, 10) - timedelta(days=1)

    @property
    def same_class_benefit(self) -> Benefit | None:
        """The benefit that cannot be held together with care, if there is one."""
        return next((benefit for benefit in self.benefits if benefit.kind == "elderly_care"), None)


@dataclass(frozen=True, slots=True)
class Relative:
    """A member of a dibao family who is not in the sample as a person."""

    name: str
    id_number: str
    family: IncomeCategory
    household_id: str
    since: date


@dataclass(frozen=True, slots=True)
class LifeChange:
    """What a register will report: a death, a move, a sentence. `kind` is the feed's own word."""

    feed: Literal["cremations", "deaths", "population", "prisons"]
    name: str
    id_number: str
    kind: str
    on: date
    to_area: str | None = None


@dataclass(frozen=True, slots=True)
class County:
    area: str
    seed: int
    first_period: Period
    persons: list[Person] = field(default_factory=list)
    relatives: list[Relative] = field(default_factory=list)
    changes: list[LifeChange] = field(default_factory=list)


def build_county(area: str, persons: int, seed: int, first_period: Period = FIRST_PERIOD) -> County:
    """The county that the seed stands for; the same arguments give the same county on every machine.

    `area` is a county or a township; ValueError for a wider one, since people live in townships.
    """
    if areas.level_of(area) not in ("county", "township"):
        raise ValueError(f"a sample is made for a county or a township, not for {area}")
    draw = Random(f"liangbu sample {area} {seed}")  # noqa: S311 - a sample is to be repeatable
    county = County(area=area, seed=seed, first_period=first_period)
    registrar = Registrar(draw, area[:6], first_period.first_day)
    townships = [area] if len(area) == 9 else _townships(area, first_period.first_day)
    settler = _Settler(draw, registrar, townships, first_period)
    for index in range(persons):
        county.persons.append(settler.person(index))
    county.relatives.extend(settler.relatives)
    county.changes.extend(_changes(draw, registrar, county))
    return county


def _townships(county: str, on: date) -> list[str]:
    """Those in the table, or a dozen codes as the standard forms them: streets from 001, towns 100, townships 200."""
    unnamed = [f"{county}{tail}" for tail in ("001", "002", *(str(n) for n in (*range(100, 106), *range(200, 204))))]
    return areas.areas_below(county, "township", on) or unnamed


class _Settler:
    """Draws persons one after another; families may hold several."""

    def __init__(self, draw: Random, registrar: Registrar, townships: list[str], first_period: Period) -> None:
        self.draw = draw
        self.registrar = registrar
        self.townships = townships
        self.first_period = first_period
        self.start = first_period.first_day
        self.relatives: list[Relative] = []
        self._last: Person | None = None

    def person(self, index: int) -> Person:
        draw, start = self.draw, self.start
        category, level = self._category_and_level(index)
        born = self._birth_date(category)
        minor = born > _years_later(start, -18)
        id_number = self.registrar.resident_id(born)
        name = dotted_name(draw) if index == 1 else rare_name(draw) if index == 2 else any_name(draw)
        family, household_id, family_since, township = self._family(level)
        issued_on = max(born + timedelta(days=200), start - timedelta(days=draw.randrange(30, 3600)))
        benefits, keeps_ours = self._benefits(born, minor, level, family, issued_on)
        components = self._components(category, level)
        cannot_act = minor or _severe_mind(category, level, components)
        card, card_status = self._card(cannot_act)
        subsidies = tuple(
            subsidy for subsidy, asked in (("living", family is not None or level > 2), ("care", level <= 2)) if asked
        )
        person = Person(
            name=name,
            id_number=id_number,
            birth_date=born,
            township=township,
            phone=self.registrar.phone() if draw.random() < 0.9 else None,
            category=category,
            level=level,
            components=components,
            reissue=_weighted(draw, {0: 90, 1: 9, 2: 1}),
            issued_on=issued_on,
            family=family,
            household_id=household_id,
            family_since=family_since,
            card=card,
            card_status=card_status,
            guardian=self._guardian(name, benefits, card_status) if cannot_act else None,
            benefits=benefits,
            subsidies=subsidies,  # type: ignore[arg-type]  # a tuple of the literals above
            applied_on=self._applied_on(),
            channel=_weighted(draw, _CHANNEL_SHARES),
            keeps_ours=keeps_ours,
        )
        self._last = person
        return person

    def _category_and_level(self, index: int) -> tuple[Category, int]:
        # The first 28 are one of each, so that even a small sample has every category and level.
        if index < 28:
            return CATEGORIES[index % 7], index // 7 + 1
        category = _weighted(self.draw, _CATEGORY_SHARES)
        return category, _weighted(self.draw, dict(zip((1, 2, 3, 4), _LEVEL_SHARES[category], strict=True)))

    def _birth_date(self, category: Category) -> date:
        minors = 22 if category in ("intellectual", "multiple") else 5
        youngest, oldest = _weighted(self.draw, {(3, 17): minors, (18, 59): 52, (60, 79): 32, (80, 99): 11})
        return birth_date(self.draw, youngest, oldest, self.start)

    def _family(self, level: int) -> tuple[IncomeCategory | None, str | None, date | None, str]:
        """Category, household, since when, and where; one in twelve shares the household of the person before."""
        last = self._last
        if last is not None and last.family is not None and self.draw.random() < 0.08:
            return last.family, last.household_id, last.family_since, last.township
        township = self.draw.choice(self.townships)
        family = _weighted(self.draw, _FAMILY_SHARES_SEVERE if level <= 2 else _FAMILY_SHARES_MILD)
        if family is None:
            return None, None, None, township
        household_id = f"{township}{self.draw.randrange(10**9):09d}"
        since = Period.of(self.start).plus(-self.draw.randrange(1, 96)).first_day
        for _ in range(self.draw.choice((0, 1, 1, 2, 3))):
            born = birth_date(self.draw, 1, 85, self.start)
            self.relatives.append(
                Relative(any_name(self.draw), self.registrar.resident_id(born), family, household_id, since)
            )
        return family, household_id, since, township

    def _components(self, category: Category, level: int) -> tuple[tuple[Category, int], ...]:
        if category != "multiple":
            return ()
        kinds = self.draw.sample(CATEGORIES[:6], self.draw.choice((2, 2, 3)))
        return tuple((kind, level if i == 0 else self.draw.randint(level, 4)) for i, kind in enumerate(kinds))

    def _benefits(
        self, born: date, minor: bool, level: int, family: IncomeCategory | None, issued_on: date
    ) -> tuple[tuple[Benefit, ...], bool]:
        """What other departments pay, and whether the person keeps our subsidy where only one can be kept."""
        draw = self.draw
        since = self.first_period.plus(-draw.randrange(1, 30)).first_day
        if minor and family is not None:
            kinds: dict[BenefitKind | None, int] = {
                "orphan": 5,
                "unattended_child_full": 4,
                "unattended_child_part": 4,
                None: 87,
            }
            kind = _weighted(draw, kinds)
            return ((Benefit(kind, 150000, since),) if kind else ()), True
        age_80 = born <= _years_later(self.start, -80)
        found: list[Benefit] = []
        keeps_ours = True
        if age_80:
            found.append(Benefit("old_age", 6000, since))
            if level <= 2 and draw.random() < 0.3:
                keeps_ours = draw.random() < 0.6
                # Who chose ours gave the other up: it was paid for the last time in the month before the first period.
                until = self.first_period.previous.last_day if keeps_ours else None
                found.append(Benefit("elderly_care", draw.choice((5000, 15000)), since, until))
        elif born <= _years_later(self.start, -60) and draw.random() < 0.1:
            found.append(Benefit("elderly_service", 5000, since))
        elif not minor and level <= 2 and draw.random() < 0.01:
            found.append(Benefit("work_injury_care", 180000, since))
        return tuple(found), keeps_ours

    def _card(self, cannot_act: bool) -> tuple[Account | None, CardStatus]:
        shares: dict[CardStatus, int] = {"active": 97, "inactive": 2, "none": 1}
        if cannot_act:
            shares = {"active": 68, "inactive": 22, "none": 10}
        status = _weighted(self.draw, shares)
        return (None if status == "none" else self._account()), status

    def _account(self) -> Account:
        bank = self.draw.choices(BANKS, (60, 15, 12, 7, 6))[0]
        return Account(bank, self.registrar.account(bank))

    def _guardian(self, name: str, benefits: tuple[Benefit, ...], card_status: CardStatus) -> Guardian:
        draw = self.draw
        if any(benefit.kind == "orphan" for benefit in benefits):
            code = f"12{self.townships[0][:6]}MB{draw.randrange(10**7):07d}X"
            return Guardian("institution", "样例县儿童福利院", code, "087165130000", self._account())
        born = birth_date(draw, 25, 60, self.start)
        same_surname = name[0] + plain_name(draw)[1:] if "·" not in name else any_name(draw)
        number = self.registrar.resident_id(born)
        return Guardian("person", same_surname, number, self.registrar.phone(), self._account())

    def _applied_on(self) -> date:
        month = self.first_period.plus(_weighted(self.draw, _MONTH_OF_APPLICATION_SHARES))
        return month.first_day + timedelta(days=self.draw.randrange(20))


def _changes(draw: Random, registrar: Registrar, county: County) -> Iterator[LifeChange]:
    """Deaths, moves and sentences of applicants, from the second month on; one in sixty, and one of each if there are
    eight. The deaths of the first month are of those who had applied before it."""
    start = county.first_period
    early = [person for person in county.persons if person.applied_on < start.first_day]
    for person in draw.sample(early, min(len(early), max(1, len(county.persons) // 300))):
        day = start.first_day + timedelta(days=draw.randrange(1, 28))
        yield LifeChange("cremations", person.name, person.id_number, "", day)
    others = [person for person in county.persons if start.first_day <= person.applied_on <= start.last_day]
    for index, person in enumerate(draw.sample(others, min(len(others), max(8, len(county.persons) // 60)))):
        on = start.plus(draw.randrange(1, 4)).first_day + timedelta(days=draw.randrange(1, 28))
        match index % 8:
            case 0 | 1 | 2:
                yield LifeChange("cremations", person.name, person.id_number, "", on)
            case 3 | 4:
                yield LifeChange("deaths", person.name, person.id_number, "", on)
            case 5:
                yield LifeChange("population", person.name, person.id_number, "moved", on, to_area="530302001")
            case 6:
                yield LifeChange("population", person.name, person.id_number, "missing", on)
            case 7:
                kind: CustodyKind = draw.choice(("serving", "probation"))
                yield LifeChange("prisons", person.name, person.id_number, kind, on)
    # People the county does not pay are in every register, some under the name of somebody it does pay.
    for person in draw.sample(county.persons, -(-len(county.persons) // 200)):
        stranger = registrar.resident_id(birth_date(draw, 30, 90, start.first_day))
        yield LifeChange("cremations", person.name, stranger, "", start.first_day + timedelta(days=draw.randrange(90)))
    for _ in range(len(county.persons) // 20):
        stranger = registrar.resident_id(birth_date(draw, 30, 95, start.first_day))
        day = start.first_day + timedelta(days=draw.randrange(110))
        yield LifeChange(draw.choice(("cremations", "deaths")), plain_name(draw), stranger, "", day)


def _severe_mind(category: Category, level: int, components: tuple[tuple[Category, int], ...]) -> bool:
    """Severe mental or intellectual disability, also as a component (notice 4.4)."""
    parts = components or ((category, level),)
    return any(kind in ("intellectual", "mental") and degree <= 2 for kind, degree in parts)


def _weighted(draw: Random, shares: Mapping[T, int]) -> T:
    return draw.choices(list(shares), list(shares.values()))[0]


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return day.replace(year=day.year + years, day=28)

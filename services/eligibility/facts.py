"""What is known of a person: dated intervals, as an assessment reads them.

`folding.py` makes them from the assertions that departments and reviewers sent; an outside party may also give them as
they are (`POST /v1/assessments`). Both ends of an interval belong to it; `to` None is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from libs.common.vocabulary import (
    BenefitKind,
    Category,
    CertificateStatus,
    CustodyKind,
    IncomeCategory,
    LifeEvent,
    Subsidy,
)

BEGINNING = date(1900, 1, 1)
"""The first day of what has no known beginning."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A disability certificate (残疾人证) in one status. `level` of a multiple disability is its heaviest."""

    category: Category
    level: int
    status: CertificateStatus
    from_: date
    to: date | None = None
    components: tuple[tuple[Category, int], ...] = ()


@dataclass(frozen=True, slots=True)
class LowIncome:
    """An economic status of the family. It lasts until the formal exit, a time of grace (渐退期) included."""

    category: IncomeCategory
    from_: date
    to: date | None = None


@dataclass(frozen=True, slots=True)
class Residence:
    """Hukou in an area, a code of six or nine digits."""

    area: str
    from_: date
    to: date | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """The county of `area` accepted to go on paying a person who moved there."""

    area: str
    accepted_on: date


@dataclass(frozen=True, slots=True)
class Benefit:
    """Another benefit paid to the person, by the month."""

    kind: BenefitKind
    from_: date
    to: date | None = None
    amount_fen: int = 0


@dataclass(frozen=True, slots=True)
class Custody:
    kind: CustodyKind
    from_: date
    to: date | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """`on` is the day of a death; of any other event the first day of the new state. `known_at` is when the
    source knew of it."""

    event: LifeEvent
    on: date
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CareNeed:
    """An assessed need, or lack of need, of long-term care. Before any assessment the policy presumes."""

    needed: bool
    from_: date
    to: date | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """An application for one subsidy. `decided_on` None: judged as if decided at the end of the month of application.

    `withdrawn_on` is the first day without it; on the day of the decision, the decision came first. `approved_at` is
    the moment of an approval that stands.
    """

    subsidy: Subsidy
    applied_on: date
    decided_on: date | None = None
    withdrawn_on: date | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignedChoice:
    """The signed choice (择高声明) between one of our subsidies and another benefit of its class (notice 2.2)."""

    kind: BenefitKind
    keep: Literal["ours", "other"]
    signed_on: date


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything about one person that rules look at. An empty tuple means: none known."""

    applications: tuple[Application, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    low_income: tuple[LowIncome, ...] = ()
    residences: tuple[Residence, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    benefits: tuple[Benefit, ...] = ()
    custody: tuple[Custody, ...] = ()
    life: tuple[Life, ...] = ()
    care_needs: tuple[CareNeed, ...] = ()
    choices: tuple[SignedChoice, ...] = ()

    @property
    def died_on(self) -> date | None:
        """The day of the death, or of its declaration."""
        return min((death.on for death in self._deaths()), default=None)

    def died_before_approval(self, subsidy: Subsidy) -> bool:
        """Whether an application for it was approved of somebody known to have died since applying."""
        return any(
            application.applied_on <= death.on and death.known_at <= application.approved_at
            for application in self.applications
            if application.subsidy == subsidy and application.approved_at is not None
            for death in self._deaths()
            if death.known_at is not None
        )

    def _deaths(self) -> list[Life]:
        """Reappearing annuls an earlier declaration of death."""
        returned = max((life.on for life in self.life if life.event == "reappeared"), default=BEGINNING)
        return [
            death
            for death in self.life
            if death.event == "died" or (death.event == "declared_dead" and death.on > returned)
        ]

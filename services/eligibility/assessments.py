"""`POST /v1/assessments`: facts as an outside party gives them, and decisions as it gets them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.common.areas import Area
from libs.common.events.eligibility import BenefitComparison
from libs.common.levels import Level
from libs.common.money import Fen
from libs.common.period import Period
from libs.common.vocabulary import (
    BenefitKind,
    Category,
    CertificateStatus,
    CustodyKind,
    IncomeCategory,
    LifeEvent,
    Subsidy,
)
from services.eligibility.determination import Decision
from services.eligibility.facts import (
    BEGINNING,
    Application,
    Benefit,
    CareNeed,
    Certificate,
    Custody,
    Facts,
    Life,
    LowIncome,
    Residence,
    SignedChoice,
    Transfer,
)
from services.eligibility.policy.remedies import REMEDIES, remedy

Day = Annotated[date, Field(ge=BEGINNING, le=date(9999, 12, 31))]
_MOST = 500  # entries of one kind; a life has far fewer


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class _Dated(_Part):
    from_: Day = Field(alias="from")
    to: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to is not None and self.to < self.from_:
            raise ValueError("to lies before from")
        return self


class GivenApplication(_Part):
    subsidy: Subsidy
    applied_on: Day
    decided_on: Day | None = None
    withdrawn_on: Day | None = None


class GivenComponent(_Part):
    category: Category
    level: Level


class GivenCertificate(_Dated):
    category: Category
    components: list[GivenComponent] = Field(default=[], max_length=7)
    level: Level
    status: CertificateStatus = "valid"

    @property
    def heaviest(self) -> int:
        """Of a multiple disability the heaviest level of all, whatever is written for the whole."""
        return min((self.level, *(component.level for component in self.components)))


class GivenIncome(_Dated):
    category: IncomeCategory


class GivenResidence(_Dated):
    area: Area


class GivenTransfer(_Part):
    area: Area
    accepted_on: Day


class GivenBenefit(_Dated):
    kind: BenefitKind
    amount_fen: Fen = 0


class GivenCustody(_Dated):
    kind: CustodyKind


class GivenLife(_Part):
    event: LifeEvent
    date: Day


class GivenChoice(_Part):
    """The signed choice (择高声明) that goes with the application."""

    kind: BenefitKind
    keep: Literal["ours", "other"]
    signed_on: Day


class GivenFacts(_Part):
    """What is known of one person. No list means none; `residence` defaults to the asking area, for ever."""

    birth_date: Day | None = None
    applications: list[GivenApplication] = Field(default=[], max_length=_MOST)
    certificate: list[GivenCertificate] = Field(default=[], max_length=_MOST)
    low_income: list[GivenIncome] = Field(default=[], max_length=_MOST)
    residence: list[GivenResidence] = Field(default=[], max_length=_MOST)
    transfers: list[GivenTransfer] = Field(default=[], max_length=_MOST)
    benefits: list[GivenBenefit] = Field(default=[], max_length=_MOST)
    custody: list[GivenCustody] = Field(default=[], max_length=_MOST)
    life: list[GivenLife] = Field(default=[], max_length=_MOST)
    long_term_care: bool | None = None
    choices: list[GivenChoice] = Field(default=[], max_length=_MOST)

    def as_facts(self, area: str) -> Facts:
        """The same as intervals; `area` is where the person lives if nothing is said of it."""
        return Facts(
            applications=tuple(
                Application(a.subsidy, a.applied_on, a.decided_on, a.withdrawn_on) for a in self.applications
            ),
            certificates=tuple(
                Certificate(
                    c.category, c.heaviest, c.status, c.from_, c.to, tuple((p.category, p.level) for p in c.components)
                )
                for c in self.certificate
            ),
            low_income=tuple(LowIncome(i.category, i.from_, i.to) for i in self.low_income),
            residences=tuple(Residence(r.area, r.from_, r.to) for r in self.residence) or (Residence(area, BEGINNING),),
            transfers=tuple(Transfer(t.area, t.accepted_on) for t in self.transfers),
            benefits=tuple(Benefit(b.kind, b.from_, b.to, b.amount_fen) for b in self.benefits),
            custody=tuple(Custody(c.kind, c.from_, c.to) for c in self.custody),
            life=tuple(Life(event.event, event.date) for event in self.life),
            care_needs=() if self.long_term_care is None else (CareNeed(self.long_term_care, BEGINNING),),
            choices=tuple(SignedChoice(c.kind, c.keep, c.signed_on) for c in self.choices),
        )


class Assessment(_Part):
    """A question: what would be payable in `area` for `period`?"""

    area: Area
    period: Period
    facts: GivenFacts


class AssessedReason(_Part):
    rule: str
    outcome: Literal["pass", "fail", "not_applicable"]
    citation: str
    detail: str
    would_change: str | None = None


class AssessedDecision(_Part):
    subsidy: Subsidy
    eligible: bool
    amount_fen: int
    area: str | None
    level: int | None
    reasons: list[AssessedReason]
    would_change: list[str] = Field(
        default=[], description="why not payable, and what would change it: everything listed has to become otherwise"
    )
    comparison: BenefitComparison | None = Field(
        default=None, description="which is higher, where another benefit of the class is paid for the month"
    )

    @classmethod
    def of(cls, decision: Decision) -> Self:
        return cls(
            subsidy=decision.subsidy,
            eligible=decision.eligible,
            amount_fen=decision.amount_fen,
            area=decision.area,
            level=decision.level,
            reasons=[
                AssessedReason(
                    rule=r.rule,
                    outcome=r.outcome,
                    citation=r.citation,
                    detail=r.detail,
                    would_change=remedy(r.rule, r.outcome),
                )
                for r in decision.reasons
            ],
            would_change=[REMEDIES[r.rule] for r in decision.reasons if r.outcome == "fail"],
            comparison=decision.comparison,
        )


class AssessmentResult(_Part):
    policy_version: str
    decisions: list[AssessedDecision]

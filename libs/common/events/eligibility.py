"""What eligibility tells: judgements with reasons, and who is entitled to what, month by month."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.common.events.envelope import PortionEvent, StateEvent, event
from libs.common.levels import Level
from libs.common.period import Period
from libs.common.vocabulary import BenefitKind, Category, Subsidy


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Reason(_Value):
    """One rule's outcome with its citation, in words a person can read."""

    rule: str
    outcome: Literal["pass", "fail", "not_applicable"]
    citation: str
    detail: str
    would_change: str | None = Field(default=None, description="of a failing rule: what has to become otherwise")


class BenefitComparison(_Value):
    """One of our subsidies beside another benefit of its class in the same month (notice 2.2, 择高), in fen a month.

    `higher` is unknown where the other office told no amount. `keep` and `signed_on` are those of the signed choice,
    null before there is one; `ours_from` is the first month that can be ours, null while the other has no known end.
    """

    other: BenefitKind
    other_fen: int = Field(ge=0)
    ours_fen: int = Field(ge=0)
    higher: Literal["ours", "other", "equal", "unknown"]
    by_fen: int = Field(ge=0)
    keep: Literal["ours", "other"] | None = None
    signed_on: date | None = None
    ours_from: Period | None = None
    detail: str


class EntitledMonths(_Value):
    """Consecutive months `from` to `to` (inclusive; null: open) that are payable alike. `area` pays."""

    from_: Period = Field(alias="from")
    to: Period | None
    amount_fen: int = Field(gt=0)
    area: str
    level: Level
    category: Category | None = None
    policy_version: str
    cause: str = Field(description="why these months begin or differ, e.g. application.approved")


class SubsidyDecision(_Value):
    """`eligible`: at least one month is payable. `first_period` is the first of them. `comparison`: with another
    benefit of the class that is paid for the month of application."""

    subsidy: Subsidy
    eligible: bool
    first_period: Period | None = None
    amount_fen: int = Field(default=0, ge=0, description="of the first payable month")
    reasons: tuple[Reason, ...] = ()
    comparison: BenefitComparison | None = None


@event
class ApplicationAssessed(StateEvent):
    """Answers `application.submitted` and `application.reviewed`.

    `application_version` is the version of the application that was judged; `version` grows per assessment.
    """

    type: ClassVar[str] = "application.assessed.v1"
    producer: ClassVar[str] = "eligibility"

    application_id: UUID
    application_version: int
    policy_version: str
    decisions: tuple[SubsidyDecision, ...]

    @property
    def aggregate(self) -> str:
        return f"assessment:{self.application_id}"


@event
class CandidatePrescreened(StateEvent):
    type: ClassVar[str] = "candidate.prescreened.v1"
    producer: ClassVar[str] = "eligibility"

    outreach_id: UUID
    eligible: tuple[Subsidy, ...]
    decisions: tuple[SubsidyDecision, ...]

    @property
    def aggregate(self) -> str:
        return f"prescreening:{self.outreach_id}"


@event
class EntitlementChanged(StateEvent):
    """The whole schedule of one person and subsidy: every month in it is payable, every other is not.

    `stopped_because` names the cause that ended the last spell, null while it is open. `died_on` is told whenever it
    becomes another, whether or not a month does. `to_heir`: it was approved of somebody known to be dead, and what is
    due goes to an heir (domain: applicant dies before approval). After a
    corrected ID merged two persons, `members` are the ids that go on under this one, and `merged_into` is whom this one
    goes on as: whoever keeps what was paid moves it before taking in the schedule, whichever of the two comes first.
    """

    type: ClassVar[str] = "entitlement.changed.v1"
    producer: ClassVar[str] = "eligibility"

    subsidy: Subsidy
    schedule: tuple[EntitledMonths, ...]
    cause: str = Field(description="the event type that changed it, e.g. certificate.expired")
    stopped_because: str | None = None
    died_on: date | None = Field(
        default=None, description="day of the death, or of its declaration by a court; null once that is annulled"
    )
    to_heir: bool = False
    area: str = Field(description="where the person is resident now, or last was")
    members: tuple[str, ...] = ()
    merged_into: str | None = None

    @property
    def aggregate(self) -> str:
        return f"entitlement:{self.person_id}:{self.subsidy}"


class JudgedRecipient(_Value):
    """Of the subsidies listed: what is granted, with the schedule that it comes to, and what is refused, with the rules
    that fail. The schedules go on as any `entitlement.changed`, version by version."""

    person_id: str
    policy_version: str
    decisions: tuple[SubsidyDecision, ...]
    schedules: tuple[EntitlementChanged, ...] = ()


@event
class RecipientsJudged(PortionEvent):
    """Answers a portion of `recipients.listed`. What is granted is in force from now on."""

    type: ClassVar[str] = "recipients.judged.v1"
    producer: ClassVar[str] = "eligibility"

    recipients: tuple[JudgedRecipient, ...] = Field(min_length=1)

    @property
    def aggregate(self) -> str:
        return f"judged:{self.portion}"

    @property
    def schedules(self) -> list[EntitlementChanged]:
        """Of all of them."""
        return [schedule for recipient in self.recipients for schedule in recipient.schedules]


@event
class JudgementBlocked(StateEvent):
    """An event about this person could not be taken in, and it may be a stop: `blocked` until it is, person by person.

    Without it a watermark would pass over what nobody has understood, and a payment with it.
    """

    type: ClassVar[str] = "judgement.blocked.v1"
    producer: ClassVar[str] = "eligibility"

    blocked: bool
    because: str = Field(description="the type of the event that was set aside")

    @property
    def aggregate(self) -> str:
        return f"blocked:{self.person_id}"


@event
class PolicyReevaluated(StateEvent):
    """Everybody whom a policy change can touch has been judged anew; `person_id` is empty, `area` names whom."""

    type: ClassVar[str] = "policy.reevaluated.v1"
    producer: ClassVar[str] = "eligibility"

    person_id: str = ""
    policy_id: UUID
    area: str
    status: Literal["started", "finished"]
    persons: int = Field(ge=0)
    changed: int = Field(ge=0)

    @property
    def key(self) -> str:
        return str(self.policy_id)

    @property
    def aggregate(self) -> str:
        return f"policy:{self.policy_id}"


class PolicyValue(_Value):
    """What one parameter comes to, all layers above considered, from a day on until the next value of its name."""

    parameter: str
    since: date
    value: Any


@event
class PolicyChanged(StateEvent):
    """Every parameter of an area that has policy of its own, past and to come; `area` is empty for the nation.

    Whoever acts on a parameter (a deadline, a number of days) keeps these and asks the longest `area` that a code
    begins with. Areas without policy of their own are not told: they follow the one above them.
    """

    type: ClassVar[str] = "policy.changed.v1"
    producer: ClassVar[str] = "eligibility"

    person_id: str = ""
    area: str
    policy_version: str
    values: tuple[PolicyValue, ...]

    @property
    def key(self) -> str:
        return self.area or "nation"

    @property
    def aggregate(self) -> str:
        return f"policy-values:{self.area}"

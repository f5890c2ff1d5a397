"""What matching tells: facts from the departments, leads (findings) that a person verifies, and outreach."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.common.events.envelope import EventData, FactEvent, Sealed, StateEvent, event
from libs.common.events.intake import Component
from libs.common.levels import Level
from libs.common.period import Period
from libs.common.vocabulary import BenefitKind, Category, CustodyKind, FindingStatus, IncomeCategory, Subsidy


class _Certificate(FactEvent):
    producer: ClassVar[str] = "matching"


class _CertificateIssue(_Certificate):
    """A certificate in force from `occurred_on` to `expires_on`, inclusive. Level is the heaviest component's."""

    category: Category
    level: Level
    components: tuple[Component, ...] = ()
    expires_on: date | None = None


@event
class CertificateIssued(_CertificateIssue):
    type: ClassVar[str] = "certificate.issued.v1"


@event
class CertificateRenewed(_CertificateIssue):
    type: ClassVar[str] = "certificate.renewed.v1"


@event
class CertificateReassessed(_CertificateIssue):
    type: ClassVar[str] = "certificate.reassessed.v1"


@event
class CertificateExpired(_Certificate):
    type: ClassVar[str] = "certificate.expired.v1"


@event
class CertificateFrozen(_Certificate):
    type: ClassVar[str] = "certificate.frozen.v1"

    cause: str | None = None


@event
class CertificateUnfrozen(_Certificate):
    type: ClassVar[str] = "certificate.unfrozen.v1"


@event
class CertificateCancelled(_Certificate):
    type: ClassVar[str] = "certificate.cancelled.v1"

    cause: str | None = None


@event
class CertificateMovedOut(_Certificate):
    """In transit (迁移中): the certificate is on its way, and valid nowhere yet."""

    type: ClassVar[str] = "certificate.moved_out.v1"

    in_transit: bool = False
    cause: str | None = None


@event
class LowIncomeEntered(FactEvent):
    type: ClassVar[str] = "low_income.entered.v1"
    producer: ClassVar[str] = "matching"

    category: IncomeCategory
    until: date | None = Field(default=None, description="last day, where the source knows it already")


@event
class LowIncomeExited(FactEvent):
    """`occurred_on` is the first day out of it. A feed that gives the last paid month means that month's last day.
    `category` null: out of whatever the person was in."""

    type: ClassVar[str] = "low_income.exited.v1"
    producer: ClassVar[str] = "matching"

    category: IncomeCategory | None = None


class _Person(FactEvent):
    producer: ClassVar[str] = "matching"


@event
class PersonDied(_Person):
    """`occurred_on` is the day of death, which still counts."""

    type: ClassVar[str] = "person.died.v1"


@event
class PersonDeclaredDead(_Person):
    type: ClassVar[str] = "person.declared_dead.v1"


@event
class PersonDeclaredMissing(_Person):
    type: ClassVar[str] = "person.declared_missing.v1"


@event
class PersonMissing(_Person):
    type: ClassVar[str] = "person.missing.v1"


@event
class PersonReappeared(_Person):
    """Annuls a declaration of death and ends a time of being missing."""

    type: ClassVar[str] = "person.reappeared.v1"


@event
class PersonImprisoned(_Person):
    """In custody of `kind` from `occurred_on`; only `serving` and `detention_serving` stop a subsidy."""

    type: ClassVar[str] = "person.imprisoned.v1"

    kind: CustodyKind = "serving"
    until: date | None = None


@event
class PersonReleased(_Person):
    type: ClassVar[str] = "person.released.v1"


@event
class PersonMoved(_Person):
    """Resident in `to_area` from `occurred_on`. `accepted_on` is set once the new county accepts the transfer."""

    type: ClassVar[str] = "person.moved.v1"

    to_area: str
    from_area: str | None = None
    accepted_on: date | None = None


@event
class PersonMerged(StateEvent):
    """A corrected resident ID: `person_id` is from now on the same person as `into_person_id`."""

    type: ClassVar[str] = "person.merged.v1"
    producer: ClassVar[str] = "matching"

    into_person_id: str

    @property
    def aggregate(self) -> str:
        return f"merge:{self.person_id}"


@event
class BenefitStarted(FactEvent):
    type: ClassVar[str] = "benefit.started.v1"
    producer: ClassVar[str] = "matching"

    kind: BenefitKind
    amount_fen: int = Field(default=0, ge=0)
    until: date | None = None


@event
class BenefitEnded(FactEvent):
    """`occurred_on` is the first day without it."""

    type: ClassVar[str] = "benefit.ended.v1"
    producer: ClassVar[str] = "matching"

    kind: BenefitKind


@event
class FactRetracted(FactEvent):
    """`retracts` never was: an error of the source, an annulled declaration, a dismissed finding."""

    type: ClassVar[str] = "fact.retracted.v1"
    producer: ClassVar[str] = "matching"

    retracts: UUID
    reason: str | None = None


class ListedMonths(BaseModel):
    """From and to are periods, both included."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    subsidy: Subsidy
    area: str | None = None
    from_: Period = Field(alias="from")
    to: Period | None = None


class _OtherRoster(StateEvent):
    """Of a roster that somebody else keeps: the national system, or a county on paper. Sent once, whole."""

    producer: ClassVar[str] = "matching"

    version: int = 1
    feed_id: UUID
    roster: Literal["national", "paper"]
    area: str
    as_of: date


@event
class RosterListed(_OtherRoster):
    """What the roster says of one person."""

    type: ClassVar[str] = "roster.listed.v1"

    entries: tuple[ListedMonths, ...]

    @property
    def aggregate(self) -> str:
        return f"roster:{self.feed_id}:{self.person_id}"


@event
class RosterReceived(_OtherRoster):
    """The roster has so many persons; `person_id` is empty."""

    type: ClassVar[str] = "roster.received.v1"

    person_id: str = ""
    persons: int = Field(ge=0)

    @property
    def key(self) -> str:
        return str(self.feed_id)

    @property
    def aggregate(self) -> str:
        return f"roster:{self.feed_id}"


class _RegisterEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class RegisteredCard(_RegisterEntry):
    """A social security card (社会保障卡); `status` is that of its bank function, `none`: there is no card.
    `number_token`: of its account, as `payee.changed` has it."""

    number_token: str | None = None
    bank: str | None = None
    status: Literal["active", "inactive", "none"]


class _Registered(_RegisterEntry):
    """From and to are days, both included."""

    from_: date = Field(alias="from")
    to: date | None = None


class RegisteredGuardian(_Registered):
    guardian_person_id: str


class RegisteredResidence(_Registered):
    """A time in an institution (机构集中供养)."""

    org_code: str


@event
class RegisterTold(StateEvent):
    """What the register of cards, guardianships or residents of institutions says of one person as of a day, whole. It
    changes nothing by itself: intake sets it against what is on record, and people decide (notice 4.4 to 4.6).
    Not `listed`: a later file that lists everybody names the person no more, and this is what was said last."""

    type: ClassVar[str] = "register.told.v1"
    producer: ClassVar[str] = "matching"

    source: Literal["social_cards", "guardianships", "institution_residents"]
    area: str
    as_of: date
    listed: bool = True
    cards: tuple[RegisteredCard, ...] = ()
    guardians: tuple[RegisteredGuardian, ...] = ()
    residences: tuple[RegisteredResidence, ...] = ()

    @property
    def aggregate(self) -> str:
        return f"register:{self.source}:{self.person_id}"


class FindingState(StateEvent):
    """A lead (比对发现) of `kind` about a person.

    While `open` it holds every unsent payment for months after `alleged_on`: from `hold_from` on. When confirmed,
    `fact_id` names the fact that it became.
    """

    producer: ClassVar[str] = "matching"

    finding_id: UUID
    kind: str = Field(description="the event alleged, e.g. person.died")
    area: str
    status: FindingStatus
    alleged_on: date
    hold_from: Period
    due_on: date
    fact_id: UUID | None = None

    @property
    def aggregate(self) -> str:
        return f"finding:{self.finding_id}"


@event
class FindingOpened(FindingState):
    type: ClassVar[str] = "finding.opened.v1"


@event
class FindingDismissed(FindingState):
    type: ClassVar[str] = "finding.dismissed.v1"


@event
class FindingConfirmed(FindingState):
    """`verified_by`: who found it true, and so does not decide on an objection against the stop."""

    type: ClassVar[str] = "finding.confirmed.v1"

    verified_by: str | None = None


@event
class FactPushed(EventData):
    """Somebody told one fact, or took one back, by their own word (`POST /v1/events`): they do not decide on an
    objection against the stop that it brought."""

    type: ClassVar[str] = "fact.pushed.v1"
    producer: ClassVar[str] = "matching"

    fact_id: UUID
    pushed_by: str

    @property
    def aggregate(self) -> str:
        return f"pushed:{self.fact_id}"


@event
class CandidateIdentified(StateEvent):
    """Newly in dibao or newly certified, neither receiving nor applying: eligibility pre-screens (notice 1)."""

    type: ClassVar[str] = "candidate.identified.v1"
    producer: ClassVar[str] = "matching"

    outreach_id: UUID
    area: str
    because: Literal["entered_low_income", "certified", "qualifies_again"]
    identified_on: date

    @property
    def aggregate(self) -> str:
        return f"candidate:{self.outreach_id}"


@event
class ReminderRequested(EventData):
    type: ClassVar[str] = "reminder.requested.v1"
    producer: ClassVar[str] = "matching"

    outreach_id: UUID
    area: str
    name: Sealed | None = None
    phone: Sealed | None = None

    @property
    def aggregate(self) -> str:
        return f"reminder:{self.outreach_id}"


@event
class OutreachLapsed(StateEvent):
    """Reminded in time and not applied by both clocks: recorded as a voluntary waiver (notice 1)."""

    type: ClassVar[str] = "outreach.lapsed.v1"
    producer: ClassVar[str] = "matching"

    outreach_id: UUID
    area: str
    lapsed_on: date

    @property
    def aggregate(self) -> str:
        return f"outreach:{self.outreach_id}"

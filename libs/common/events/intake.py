"""What intake tells: applications through their stages, and who is paid and reached where."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.common.events.envelope import FactEvent, PortionEvent, Sealed, StateEvent, event
from libs.common.levels import Level
from libs.common.period import Period
from libs.common.vocabulary import (
    ApplicationStatus,
    Category,
    CertificateStatus,
    Channel,
    IncomeCategory,
    Stage,
    Subsidy,
)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Component(_Value):
    """One disability of a multiple one."""

    category: Category
    level: Level


class CertificateClaim(_Value):
    """A disability certificate as declared (dates unknown) or as the federation confirmed it."""

    category: Category
    level: Level
    reissue: int = Field(default=0, ge=0, description="n of a number that ends in Bn")
    components: tuple[Component, ...] = ()
    issued_on: date | None = None
    expires_on: date | None = None
    status: CertificateStatus = "valid"


class LowIncomeClaim(_Value):
    """The economic status as declared, or as civil affairs confirmed it. `from` is the first day in it."""

    category: IncomeCategory
    from_: date | None = Field(default=None, alias="from")


class BenefitChoice(_Value):
    """The signed choice between two benefits of the same class (择高声明)."""

    kind: str
    keep: Literal["ours", "other"]
    signed_on: date


class ApplicationFacts(_Value):
    """What is known from the application itself. `confirmed` lists the stages that vouch for it so far."""

    certificate: CertificateClaim | None = None
    low_income: LowIncomeClaim | None = None
    residence_area: str
    long_term_care: bool | None = None
    choices: tuple[BenefitChoice, ...] = ()
    confirmed: tuple[Stage, ...] = ()
    birth_year: int | None = Field(default=None, description="who is old is to be seen alive more often")


class ApplicationState(StateEvent):
    """The full state of one application (申请) for one or both subsidies."""

    producer: ClassVar[str] = "intake"

    application_id: UUID
    area: str = Field(description="where it is decided: the hukou area, 6 or 9 digits")
    channel: Channel
    subsidies: tuple[Subsidy, ...]
    applied_on: date
    status: ApplicationStatus
    stage: Stage | None = Field(description="whose turn it is; null when decided or waiting for the last assessment")
    facts: ApplicationFacts
    decided_on: date | None = None
    granted: tuple[Subsidy, ...] = ()
    withdrawn_on: date | None = None

    @property
    def aggregate(self) -> str:
        return f"application:{self.application_id}"


@event
class ApplicationSubmitted(ApplicationState):
    """An application was accepted, with the facts as declared. Eligibility assesses it."""

    type: ClassVar[str] = "application.submitted.v1"


@event
class ApplicationReviewed(ApplicationState):
    """One stage gave its opinion, with the facts as confirmed so far. `final` asks for the assessment that decides."""

    type: ClassVar[str] = "application.reviewed.v1"

    outcome: Literal["approve", "return", "reject", "complete"]
    final: bool = False
    reviewed_on: date
    complete_by: date | None = Field(default=None, description="of a return: until then completed it keeps its date")


@event
class ApplicationApproved(ApplicationState):
    """Decided (审定): `granted` subsidies accrue from the month of `applied_on`, on the facts confirmed."""

    type: ClassVar[str] = "application.approved.v1"

    decided_on: date
    granted: tuple[Subsidy, ...] = Field(min_length=1)


@event
class ApplicationRejected(ApplicationState):
    type: ClassVar[str] = "application.rejected.v1"

    decided_on: date
    reason: str


@event
class ApplicationWithdrawn(ApplicationState):
    """The person withdrew it. A granted spell ends with the month of `withdrawn_on`."""

    type: ClassVar[str] = "application.withdrawn.v1"

    withdrawn_on: date


@event
class ObjectionAnswered(StateEvent):
    """An objection (复核申请) was answered. `upheld`, an application is reviewed (again), or the office looks into it
    by the day `handle_by`."""

    type: ClassVar[str] = "objection.answered.v1"
    producer: ClassVar[str] = "intake"

    objection_id: UUID
    area: str
    outcome: Literal["upheld", "dismissed"]
    filed_on: date
    answered_on: date
    handle_by: date | None = None

    @property
    def aggregate(self) -> str:
        return f"objection:{self.objection_id}"


class PayeeAccount(_Value):
    """Where the money goes. `status` is that of the card's bank function."""

    holder: Literal["own", "guardian", "institution"]
    holder_name: Sealed
    bank: str
    number: Sealed
    number_last4: str = Field(pattern=r"^\d{4}$")
    status: Literal["active", "inactive", "none"]
    reason: str | None = Field(default=None, description="why not the person's own card (notice 4)")
    number_token: str = Field(description="keyed digest of the number, to see one account used by several persons")
    org_code: str | None = Field(default=None, description="of the institution whose account it is (notice 4.6)")


@event
class PayeeChanged(StateEvent):
    """The approved payee of a person, whole; `account` is null while there is none (entitled and unpaid)."""

    type: ClassVar[str] = "payee.changed.v1"
    producer: ClassVar[str] = "intake"

    area: str
    person_name: Sealed
    certificate_number: Sealed | None = None
    phone: Sealed | None = None
    account: PayeeAccount | None
    cannot_act: bool = Field(description="cannot recognise own conduct (不能辨别自身行为), notice 4")
    guardian_in_question: bool = Field(
        default=False, description="a register names another guardian, or none any more: the account waits (notice 4.5)"
    )
    effective_on: date

    @property
    def aggregate(self) -> str:
        return f"payee:{self.person_id}"


@event
class ContactChanged(StateEvent):
    """How a person is reached, whole; `guardian_phone` where the person has no phone, or has died."""

    type: ClassVar[str] = "contact.changed.v1"
    producer: ClassVar[str] = "intake"

    area: str
    name: Sealed
    phone: Sealed | None = None
    phone_token: str | None = Field(default=None, description="keyed digest, to see one phone used for several persons")
    guardian_phone: Sealed | None = None

    @property
    def aggregate(self) -> str:
        return f"contact:{self.person_id}"


@event
class TransferAccepted(FactEvent):
    """The county moved to accepted the transfer (迁移接收) on `accepted_on`: the spell goes on there from the month
    after the move. Resident in `to_area` from `occurred_on`."""

    type: ClassVar[str] = "transfer.accepted.v1"
    producer: ClassVar[str] = "intake"

    to_area: str
    from_area: str
    accepted_on: date


@event
class PersonIdCorrected(StateEvent):
    """A resident ID was corrected by two persons: `person_id` is from now on the same person as `into_person_id`."""

    type: ClassVar[str] = "person.id_corrected.v1"
    producer: ClassVar[str] = "intake"

    into_person_id: str

    @property
    def aggregate(self) -> str:
        return f"id-correction:{self.person_id}"


class PaidMonths(_Value):
    """Consecutive months, both included, that were paid alike: so many fen each."""

    from_: Period = Field(alias="from")
    to: Period
    amount_fen: int = Field(gt=0)


class ListedApplication(_Value):
    """An application that an entry of a roster becomes: of the subsidies that began in the same month."""

    application_id: UUID
    subsidies: tuple[Subsidy, ...]
    applied_on: date = Field(description="the first day of the first month")


class ListedRecipient(_Value):
    """A recipient on a roster, with the facts as it has them."""

    person_id: str
    area: str
    facts: ApplicationFacts
    applications: tuple[ListedApplication, ...] = Field(min_length=1, description="by their first months")


@event
class RecipientsListed(PortionEvent):
    """A portion as its roster lists it. No office reviews the applications: the judgement on these facts, as of
    `imported_on`, decides."""

    type: ClassVar[str] = "recipients.listed.v1"
    producer: ClassVar[str] = "intake"

    imported_on: date
    recipients: tuple[ListedRecipient, ...] = Field(min_length=1)

    @property
    def aggregate(self) -> str:
        return f"listed:{self.portion}"


class GrantedApplication(_Value):
    """An approved application of a roster, at this version."""

    application_id: UUID
    version: int
    applied_on: date
    granted: tuple[Subsidy, ...] = Field(min_length=1)
    certificate: CertificateClaim


class TakenOver(_Value):
    """A recipient who is taken over: what was granted, whom to pay and how they are reached, and what was paid
    elsewhere (期初已发), month by month: it is never paid again."""

    person_id: str
    area: str
    birth_year: int | None = None
    applications: tuple[GrantedApplication, ...] = Field(min_length=1)
    payee: PayeeChanged
    contact: ContactChanged
    paid: dict[Subsidy, tuple[PaidMonths, ...]]


@event
class RecipientsTakenOver(PortionEvent):
    """Those of a portion of a roster whom anything is granted. Unlike in `payee.changed` and `contact.changed`, texts
    are sealed for the places where they are kept (`payee_place`, `contact_place`), so that nobody has to seal a million
    of them anew."""

    type: ClassVar[str] = "recipients.taken_over.v1"
    producer: ClassVar[str] = "intake"

    recipients: tuple[TakenOver, ...] = Field(min_length=1)

    @property
    def aggregate(self) -> str:
        return f"taken-over:{self.portion}"


def payee_place(person_id: str, field: str) -> tuple[str, ...]:
    """What a text of a payee is bound to where it is kept."""
    return ("payees", person_id, field.removeprefix("account."))


def contact_place(person_id: str, field: str) -> tuple[str, ...]:
    """What a text of a contact is bound to where it is kept."""
    return ("contacts", person_id, field)


@event
class RosterImported(StateEvent):
    """A roster of `area` is being taken over, or is: everybody on it has been decided on and told. `person_id` is
    empty. No cycle over the area is drawn up in between."""

    type: ClassVar[str] = "roster.imported.v1"
    producer: ClassVar[str] = "intake"

    person_id: str = ""
    import_id: UUID
    area: str
    status: Literal["started", "finished"]

    @property
    def key(self) -> str:
        return str(self.import_id)

    @property
    def aggregate(self) -> str:
        return f"roster-import:{self.import_id}"

"""Applications over REST: submit, review, complete, withdraw, read."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import BaseModel
from sqlalchemy import or_, select

from libs.common.areas import Area
from libs.common.auth import Anyone
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.events.eligibility import Reason, SubsidyDecision
from libs.common.events.intake import ApplicationFacts
from libs.common.identity import AccountWarning, mask_account, mask_id_number, mask_name, mask_phone
from libs.common.vocabulary import ApplicationStatus, Channel, Stage, Subsidy
from libs.common.web import ForeseeingRoute, Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys, Reviewer, Submitter, at_the_door, unmask
from services.intake.api.places import ForwardingView
from services.intake.application_records import Filed, account_token, filed_in, load_application
from services.intake.applications import OPEN, UNDER_REVIEW, Opinion
from services.intake.declarations import Choice, Declaration, Matter
from services.intake.handlers import applications as handlers
from services.intake.handlers.forwardings import find_forwarding
from services.intake.likeness import Statement, as_approved, conflicts
from services.intake.payee import Account
from services.intake.person_records import load_person, look_alikes, name_in
from services.intake.tables import applications, assessments, persons, reviews
from services.intake.vault import Vault
from services.intake.words import Words

api = router(prefix="/v1", tags=["applications"], dependencies=RATE_LIMITED)
foreseen = router(prefix="/v1", tags=["applications"], route_class=ForeseeingRoute)


class Receipt(BaseModel):
    """The answer to a submission. `receipt_no` and the last four of the resident ID show the progress to anyone."""

    application_id: UUID
    person_id: str
    receipt_no: str
    status: ApplicationStatus
    stage: Stage | None
    due_on: date | None
    account_warnings: list[AccountWarning]


class State(BaseModel):
    """Where an application is now."""

    application_id: UUID
    person_id: str
    receipt_no: str
    status: ApplicationStatus
    stage: Stage | None
    due_on: date | None
    version: int


class RefusedSubsidy(BaseModel):
    subsidy: Subsidy
    reasons: tuple[Reason, ...]


class ReviewView(BaseModel):
    stage: Stage
    outcome: str
    reason: str | None
    sub: str
    reviewed_on: date


class AssessmentView(BaseModel):
    """What eligibility made of the facts of `application_version`; every subsidy, with all its reasons."""

    application_version: int
    policy_version: str
    decisions: tuple[SubsidyDecision, ...]


class ConflictView(BaseModel):
    """A contradiction between this application and what is known otherwise; names are masked."""

    field: str
    declared: str
    known: str
    known_from: str


class LookAlike(BaseModel):
    """Another person with the same phone, account, or name and birth date."""

    person_id: str
    area: str
    because: list[Literal["phone", "account", "name_and_birth"]]


class ApplicationView(BaseModel):
    """An application whole; identities are masked unless the reader gave a reason."""

    application_id: UUID
    person_id: str
    receipt_no: str
    area: str
    channel: Channel
    accepted_area: str | None
    subsidies: tuple[Subsidy, ...]
    applied_on: date
    accrues_from: date
    received_on: date
    status: ApplicationStatus
    stage: Stage | None
    due_on: date | None
    overdue: bool
    awaits_assessment: bool
    decided_on: date | None
    withdrawn_on: date | None
    reason: str | None
    granted: tuple[Subsidy, ...]
    refused: list[RefusedSubsidy]
    applicant: dict[str, Any]
    agent: dict[str, Any] | None
    guardian: dict[str, Any] | None
    account: dict[str, Any] | None
    facts: ApplicationFacts
    matters: tuple[Matter, ...]
    forwarding: ForwardingView | None
    reviews: list[ReviewView]
    assessment: AssessmentView | None
    conflicts: list[ConflictView]
    look_alikes: list[LookAlike]


class Withdrawal(BaseModel):
    reason: Words | None = None


class Completion(BaseModel):
    """What was missing, besides documents: signed choices, an account."""

    choices: tuple[Choice, ...] = ()
    account: Account | None = None


class Filters:
    """The query parameters of the list."""

    def __init__(
        self,
        area: Annotated[Area | None, Query()] = None,
        status: ApplicationStatus | None = None,
        stage: Stage | None = None,
        channel: Channel | None = None,
        overdue: bool | None = None,
        order: Literal["newest", "due"] = "newest",
    ) -> None:
        self.area = area
        self.status = status
        self.stage = stage
        self.channel = channel
        self.overdue = overdue
        self.order = order


@foreseen.post("/applications", status_code=201)
async def submit(declaration: Declaration, request: Request) -> Receipt:
    """Files an application for one or both subsidies. A person's second one for a subsidy that is open or granted is
    answered 409 with the first one's id."""
    tx, vault, submitter = await at_the_door(request)
    submission = await handlers.submit_application(tx, vault, submitter, declaration, on=business_today())
    return Receipt(**_stand(submission.filed), account_warnings=list(submission.warnings))


@api.get("/applications")
async def list_applications(
    tx: Tx, keys: Keys, reader: Anyone, filters: Annotated[Filters, Depends()], paging: Annotated[Paging, Depends()]
) -> Page:
    """Applications in the reader's area, newest first, or those under way by their deadlines (`order=due`); a
    partner's are those it submitted."""
    today = business_today()
    query = select(applications, persons.c.sealed_identity).join(
        persons, persons.c.person_id == applications.c.person_id
    )
    query = query.where(
        or_(
            reader.within(applications.c.area, filters.area),
            reader.within(applications.c.accepted_area, filters.area),
        )
    )
    if reader.role == "partner":
        query = query.where(applications.c.submitted_by == reader.sub)
    if filters.status is not None:
        query = query.where(applications.c.status == filters.status)
    if filters.stage is not None:
        query = query.where(applications.c.stage == filters.stage)
    if filters.channel is not None:
        query = query.where(applications.c.channel == filters.channel)
    if filters.overdue is not None:
        late = applications.c.status.in_(UNDER_REVIEW) & (applications.c.due_on < today)
        query = query.where(late if filters.overdue else ~late)
    keys_of_order: tuple[str, ...] = ("application_id",)
    if filters.order == "due":
        keys_of_order = ("due_on", "application_id")
        query = query.where(applications.c.due_on.is_not(None))
    order = [applications.c[name] for name in keys_of_order]
    found = rows(await tx.connection.execute(paging.cut(query, *order, descending=filters.order == "newest")))
    shown = [
        {name: row[name] for name in _LISTED}
        | {
            "name": mask_name(name_in(keys, row)),
            "overdue": row["status"] in UNDER_REVIEW and row["due_on"] < today,
        }
        for row in found
    ]
    return paging.page(shown, *keys_of_order)


@api.get("/applications/{application_id}")
async def read_application(
    application_id: UUID, tx: Tx, keys: Keys, reader: Anyone, reason: Annotated[Words | None, Query()] = None
) -> ApplicationView:
    """The application with every opinion and what eligibility makes of the facts known so far. `reason` unmasks."""
    filed = await load_application(tx, reader, application_id)
    if reason:
        await unmask(tx, reader, "application", str(application_id), filed.application.person_id, reason)
    view = await _view(tx, keys, filed, whole=bool(reason), on=business_today())
    if reader.role != "partner":
        view.conflicts = await _conflicts(tx, keys, filed)
        view.look_alikes = await _look_alikes(tx, keys, filed)
    return view


@api.post("/applications/{application_id}/reviews")
async def review(application_id: UUID, opinion: Opinion, tx: Tx, reviewer: Reviewer) -> State:
    """One office's opinion, in the order township, cdpf, civil_affairs, by three different persons."""
    return _state(await handlers.review_application(tx, reviewer, application_id, opinion, on=business_today()))


@api.post("/applications/{application_id}/completion")
async def complete(
    application_id: UUID, tx: Tx, keys: Keys, submitter: Submitter, completion: Completion | None = None
) -> State:
    """A returned application is complete now; within its deadline it keeps its first date."""
    given = completion or Completion()
    filed = await handlers.complete_application(
        tx, keys, submitter, application_id, choices=given.choices, account=given.account, on=business_today()
    )
    return _state(filed)


@api.post("/applications/{application_id}/withdrawal")
async def withdraw(application_id: UUID, tx: Tx, submitter: Submitter, withdrawal: Withdrawal | None = None) -> State:
    """The person takes the application back; of a granted one the last payable month is this one."""
    reason = withdrawal.reason if withdrawal else None
    return _state(
        await handlers.withdraw_application(tx, submitter, application_id, reason=reason, on=business_today())
    )


_LISTED = (
    "application_id",
    "person_id",
    "receipt_no",
    "area",
    "channel",
    "accepted_area",
    "subsidies",
    "applied_on",
    "received_on",
    "status",
    "stage",
    "due_on",
    "granted",
)


def _state(filed: Filed) -> State:
    return State(**_stand(filed), version=filed.application.version)


def _stand(filed: Filed) -> dict[str, Any]:
    """What both answers tell."""
    names = ("application_id", "person_id", "status", "stage", "due_on")
    return {name: getattr(filed.application, name) for name in names} | {"receipt_no": filed.receipt_no}


async def _view(tx: Transaction, keys: Keys, filed: Filed, *, whole: bool, on: date) -> ApplicationView:
    application, declaration = filed.application, filed.declaration(keys)
    given = await tx.connection.execute(
        select(reviews).where(reviews.c.application_id == application.application_id).order_by(reviews.c.version)
    )
    assessed = await tx.connection.execute(
        select(assessments)
        .where(assessments.c.application_id == application.application_id)
        .order_by(assessments.c.application_version.desc(), assessments.c.version.desc())
        .limit(1)
    )
    assessment = assessed.mappings().one_or_none()
    account = declaration.account
    forwarding = await find_forwarding(tx, application.application_id)
    return ApplicationView(
        **{name: getattr(application, name) for name in _SHOWN},
        receipt_no=filed.receipt_no,
        accepted_area=filed.accepted_area,
        received_on=filed.received_on,
        overdue=application.is_overdue(on),
        refused=[RefusedSubsidy(subsidy=item.subsidy, reasons=item.reasons) for item in application.refused],
        applicant=_identity(declaration.applicant, whole)
        | {"certificate_number": _certificate_number(declaration, whole)},
        agent=declaration.agent and {"relation": declaration.agent.relation} | _identity(declaration.agent, whole),
        guardian=declaration.guardian
        and {"kind": declaration.guardian.kind, "org_code": declaration.guardian.org_code}
        | _identity(declaration.guardian, whole),
        account=account
        and {
            "holder": account.holder,
            "bank": account.bank,
            "number": account.number if whole else account.number and mask_account(account.number),
            "status": account.status,
            "reason": account.reason,
        },
        matters=declaration.matters,
        forwarding=ForwardingView.of(forwarding) if forwarding else None,
        conflicts=[],
        look_alikes=[],
        reviews=[ReviewView.model_validate(dict(row)) for row in given.mappings()],
        assessment=AssessmentView.model_validate(dict(assessment)) if assessment else None,
    )


async def _conflicts(tx: Transaction, keys: Vault, filed: Filed) -> list[ConflictView]:
    """What contradicts this application: the last approval, and the person's other applications still open."""
    application = filed.application
    person = await load_person(tx, keys, application.person_id)
    others = [as_approved(person)] if person.payee_version > 0 else []
    open_ones = await tx.connection.execute(
        select(applications).where(
            applications.c.person_id == application.person_id,
            applications.c.application_id != application.application_id,
            applications.c.status.in_(OPEN),
        )
    )
    others += [_statement(keys, filed_in(row)) for row in open_ones.mappings()]
    found = conflicts(_statement(keys, filed), others)
    return [ConflictView(**asdict(conflict)) for conflict in found]


def _statement(keys: Vault, filed: Filed) -> Statement:
    application = filed.application
    name = filed.declaration(keys).applicant.name
    return Statement(f"application {filed.receipt_no}", name, application.area, application.facts)


async def _look_alikes(tx: Transaction, keys: Vault, filed: Filed) -> list[LookAlike]:
    token = account_token(keys, filed.declaration(keys))
    found = await look_alikes(tx, filed.application.person_id, token)
    return [LookAlike.model_validate(row) for row in found]


_SHOWN = (
    "application_id",
    "person_id",
    "area",
    "channel",
    "subsidies",
    "applied_on",
    "accrues_from",
    "status",
    "stage",
    "due_on",
    "awaits_assessment",
    "decided_on",
    "withdrawn_on",
    "reason",
    "granted",
    "facts",
)


def _identity(someone: Any, whole: bool) -> dict[str, Any]:
    """Name, ID number and phone of an applicant, agent or guardian."""
    if whole:
        return {"name": someone.name, "id_number": someone.id_number, "phone": someone.phone}
    return {
        "name": mask_name(someone.name),
        "id_number": someone.id_number and mask_id_number(someone.id_number),
        "phone": someone.phone and mask_phone(someone.phone),
    }


def _certificate_number(declaration: Declaration, whole: bool) -> str:
    number = declaration.applicant.certificate_number
    return number if whole else mask_id_number(number[:18]) + "**"

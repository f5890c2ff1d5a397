"""An application (申请) and its way through three offices: the state machine, without clock or I/O.

    submitted → in_review → (returned → completion) → approved | rejected | withdrawn

Township (初审), federation (审核) and civil affairs (审定) review one after the other, three different persons
(国发〔2015〕52号). After the last approval the application waits, with no stage, until eligibility has assessed the
facts as confirmed: payable in at least one subsidy, it is approved; in none, it goes back to civil affairs with the
reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.common.errors import FourEyes, InvalidInput
from libs.common.events.eligibility import Reason, SubsidyDecision
from libs.common.events.intake import ApplicationFacts, BenefitChoice, CertificateClaim, Component, LowIncomeClaim
from libs.common.levels import Level
from libs.common.vocabulary import (
    STAGES,
    ApplicationStatus,
    Category,
    CertificateStatus,
    Channel,
    IncomeCategory,
    Stage,
    Subsidy,
    in_chinese,
)
from libs.common.working_days import working_days_after
from services.intake.errors import AlreadyClosed, NotReturned, NotUnderReview, OutOfOrder, StageOfAnotherRole
from services.intake.parameters import Deadlines
from services.intake.words import Words

UNDER_REVIEW: tuple[ApplicationStatus, ...] = ("submitted", "in_review")
OPEN: tuple[ApplicationStatus, ...] = ("submitted", "in_review", "returned")


class ConfirmedCertificate(BaseModel):
    """The certificate as the federation's register has it. `components`: only of a multiple one, where they changed."""

    category: Category
    level: Level
    issued_on: date | None = None
    expires_on: date | None = None
    status: CertificateStatus = "valid"
    components: tuple[Component, ...] | None = None


class ConfirmedLowIncome(BaseModel):
    """The economic status as civil affairs has it; `none`: in no such family, whatever was declared."""

    model_config = ConfigDict(populate_by_name=True)

    category: IncomeCategory | Literal["none"]
    from_: date | None = Field(default=None, alias="from")


class Opinion(BaseModel):
    """What one office says. Without `certificate` or `low_income` it confirms those as they stand."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"stage": "township", "outcome": "approve"},
                {"stage": "cdpf", "outcome": "return", "reason": "残疾人证照片不清晰"},
                {
                    "stage": "civil_affairs",
                    "outcome": "approve",
                    "low_income": {"category": "dibao", "from": "2024-01-01"},
                },
            ]
        }
    )

    stage: Stage
    outcome: Literal["approve", "return", "reject"]
    reason: Words | None = None
    certificate: ConfirmedCertificate | None = None
    low_income: ConfirmedLowIncome | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A subsidy that was applied for and is not payable, with the rules that failed."""

    subsidy: Subsidy
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """One application for one or both subsidies. `stage` is whose turn it is, or who returned it; None while it waits
    for the last assessment and once it is decided. `accrues_from` is `applied_on`, or a late completion's day."""

    application_id: UUID
    person_id: str
    area: str
    channel: Channel
    subsidies: tuple[Subsidy, ...]
    applied_on: date
    accrues_from: date
    status: ApplicationStatus
    stage: Stage | None
    due_on: date | None
    facts: ApplicationFacts
    version: int = 1
    reviewers: Mapping[Stage, str] = field(default_factory=dict)
    """Who gave the latest opinion of each stage, by token subject."""
    reviewed_on: date | None = None
    decided_on: date | None = None
    withdrawn_on: date | None = None
    granted: tuple[Subsidy, ...] = ()
    refused: tuple[Refusal, ...] = ()
    reason: str | None = None

    @property
    def awaits_assessment(self) -> bool:
        return self.status == "in_review" and self.stage is None

    def is_overdue(self, on: date) -> bool:
        """Whether an office is late; an applicant who takes long to complete is not an office."""
        return self.status in UNDER_REVIEW and self.due_on is not None and self.due_on < on


def submitted(
    application_id: UUID,
    person_id: str,
    *,
    area: str,
    channel: Channel,
    subsidies: tuple[Subsidy, ...],
    applied_on: date,
    facts: ApplicationFacts,
    on: date,
    deadlines: Deadlines,
) -> Application:
    """A new application, received `on` that day: the township's clock starts then."""
    return Application(
        application_id=application_id,
        person_id=person_id,
        area=area,
        channel=channel,
        subsidies=subsidies,
        applied_on=applied_on,
        accrues_from=applied_on,
        status="submitted",
        stage="township",
        due_on=working_days_after(on, deadlines.review["township"]),
        facts=facts,
    )


def review(
    application: Application, opinion: Opinion, *, sub: str, role: str, on: date, deadlines: Deadlines
) -> Application:
    """The application after one office's opinion. Refused by OutOfOrder, FourEyes, StageOfAnotherRole, InvalidInput."""
    stage = opinion.stage
    if role != stage:
        raise StageOfAnotherRole(f"该环节不由您的角色办理 (stage {stage} is not for the role {role})")
    if application.status not in UNDER_REVIEW or application.stage is None:
        raise NotUnderReview(_status_now(application))
    if application.stage != stage:
        raise OutOfOrder(f"现在环节为{STAGE_NAMES[application.stage]} (it is with {application.stage}, not {stage})")
    if any(reviewer == sub and other != stage for other, reviewer in application.reviewers.items()):
        raise FourEyes("您已办理过本申请的另一环节 (you reviewed another stage of this application)")
    _require_sound(opinion, application.facts)

    reviewed = replace(
        application,
        version=application.version + 1,
        reviewers={**application.reviewers, stage: sub},
        reviewed_on=on,
        reason=opinion.reason,
    )
    match opinion.outcome:
        case "reject":
            return replace(reviewed, status="rejected", stage=None, due_on=None, decided_on=on)
        case "return":
            return replace(reviewed, status="returned", due_on=working_days_after(on, deadlines.completion))
        case "approve":
            following = _stage_after(stage)
            return replace(
                reviewed,
                status="in_review",
                stage=following,
                due_on=working_days_after(on, deadlines.review[following]) if following else application.due_on,
                facts=_confirmed(application.facts, opinion),
                refused=(),
            )


def complete(
    application: Application, *, choices: Sequence[BenefitChoice] = (), on: date, deadlines: Deadlines
) -> Application:
    """The application with what was missing, back at the office that returned it. In time it keeps its first date,
    later it accrues from this day."""
    if application.status != "returned":
        raise NotReturned(_status_now(application))
    assert application.stage is not None
    assert application.due_on is not None
    in_time = on <= application.due_on
    newly_chosen = {choice.kind for choice in choices}
    kept = tuple(choice for choice in application.facts.choices if choice.kind not in newly_chosen)
    return replace(
        application,
        version=application.version + 1,
        status="in_review",
        accrues_from=application.accrues_from if in_time else on,
        due_on=working_days_after(on, deadlines.review[application.stage]),
        facts=application.facts.model_copy(update={"choices": (*kept, *choices)}),
        reason=None,
    )


def withdraw(application: Application, *, reason: str | None, on: date) -> Application:
    """The application taken back by the person; of a granted one the spell ends with the month of `on`."""
    if application.status in ("rejected", "withdrawn"):
        raise AlreadyClosed(_status_now(application))
    if application.channel == "roster" and application.awaits_assessment:
        raise NotUnderReview("正在接管，办结后方可撤回 (it is just being taken over; withdraw it once it is decided)")
    return replace(
        application,
        version=application.version + 1,
        status="withdrawn",
        stage=None,
        due_on=None,
        withdrawn_on=on,
        reason=reason,
    )


def decide(
    application: Application, decisions: Sequence[SubsidyDecision], *, on: date, deadlines: Deadlines
) -> Application:
    """The application that awaited this assessment: approved as of its last review, or back at civil affairs."""
    judged = _judged(application, decisions)
    if judged.granted:
        return judged
    return replace(judged, stage="civil_affairs", due_on=working_days_after(on, deadlines.review["civil_affairs"]))


def taken_over(application: Application, decisions: Sequence[SubsidyDecision], *, on: date) -> Application:
    """The entry of a roster that awaited this assessment: approved in what policy grants as of the day of the takeover,
    else rejected with the reasons; no office reviews it."""
    judged = _judged(application, decisions)
    if judged.granted:
        return judged
    details = dict.fromkeys(in_chinese(reason.detail) for refusal in judged.refused for reason in refusal.reasons)
    reason = "；".join(details) or "没有可发放的月份"
    return replace(judged, status="rejected", stage=None, due_on=None, decided_on=on, reason=reason)


def _judged(application: Application, decisions: Sequence[SubsidyDecision]) -> Application:
    """With what is granted and refused; approved where anything is granted."""
    assert application.awaits_assessment
    by_subsidy = {decision.subsidy: decision for decision in decisions}
    granted = tuple(s for s in application.subsidies if s in by_subsidy and by_subsidy[s].eligible)
    refused = tuple(
        Refusal(s, tuple(reason for reason in by_subsidy[s].reasons if reason.outcome == "fail"))
        for s in application.subsidies
        if s in by_subsidy and s not in granted
    )
    judged = replace(application, version=application.version + 1, granted=granted, refused=refused)
    return replace(judged, status="approved", due_on=None, decided_on=application.reviewed_on) if granted else judged


def reopen(application: Application, *, on: date, deadlines: Deadlines) -> Application:
    """A rejected application whose rejection did not stand: civil affairs reviews it again, under its first date."""
    if application.status != "rejected":
        raise NotUnderReview(
            f"仅不予批准的申请可重新审核 (its status is {application.status}; only a rejection is reopened)"
        )
    last: Stage = "civil_affairs"
    first_open = next((stage for stage in STAGES if stage not in application.facts.confirmed), last)
    return replace(
        application,
        version=application.version + 1,
        status="in_review",
        stage=first_open,
        due_on=working_days_after(on, deadlines.review[first_open]),
        decided_on=None,
        reason=None,
    )


def refused_anew(
    application: Application, application_id: UUID, *, area: str, on: date, deadlines: Deadlines
) -> Application:
    """What an approved application refused, as one of its own under the first date; no office has confirmed it yet."""
    anew = submitted(
        application_id,
        application.person_id,
        area=area,
        channel=application.channel,
        subsidies=tuple(refusal.subsidy for refusal in application.refused),
        applied_on=application.applied_on,
        facts=application.facts.model_copy(update={"confirmed": ()}),
        on=on,
        deadlines=deadlines,
    )
    return replace(anew, accrues_from=application.accrues_from)


def _stage_after(stage: Stage) -> Stage | None:
    following = STAGES.index(stage) + 1
    return STAGES[following] if following < len(STAGES) else None


def _require_sound(opinion: Opinion, facts: ApplicationFacts) -> None:
    if opinion.outcome != "approve" and not opinion.reason:
        raise InvalidInput.at("reason", f"退回或不予批准须说明理由 (to {opinion.outcome} it needs a reason)")
    if opinion.certificate is not None and opinion.stage != "cdpf":
        raise InvalidInput.at("certificate", "残疾人证由残联确认 (only the federation confirms a certificate)")
    if opinion.low_income is not None and opinion.stage != "civil_affairs":
        raise InvalidInput.at("low_income", "经济状况由民政部门确认 (only civil_affairs confirms it)")
    if opinion.certificate is not None:
        certificate = opinion.certificate
        if certificate.issued_on and certificate.expires_on and certificate.expires_on < certificate.issued_on:
            raise InvalidInput.at("certificate.expires_on", "早于发证日期 (before certificate.issued_on)")
        require_components("certificate.components", certificate.category, certificate.level, certificate.components)


def require_components(path: str, category: Category, level: int, components: Sequence[Component] | None) -> None:
    """A multiple certificate's components are at least two kinds, the heaviest of its own level; others have none."""
    if not components:
        return
    if category != "multiple":
        raise InvalidInput.at(path, "只有多重残疾的证有分项 (only a certificate of category multiple has components)")
    kinds = {component.category for component in components}
    if "multiple" in kinds or len(kinds) != len(components) or len(kinds) < 2:
        raise InvalidInput.at(path, "多重残疾至少两个不同类别 (at least two different single categories)")
    if min(component.level for component in components) != level:
        raise InvalidInput.at(path, "最重分项与残疾人证等级不符 (not the heaviest component's level)")


def _confirmed(facts: ApplicationFacts, opinion: Opinion) -> ApplicationFacts:
    changes: dict[str, object] = {
        "confirmed": tuple(s for s in STAGES if s in facts.confirmed or s == opinion.stage),
    }
    if opinion.certificate is not None:
        changes["certificate"] = _certificate(facts.certificate, opinion.certificate)
    if opinion.low_income is not None:
        changes["low_income"] = (
            None
            if opinion.low_income.category == "none"
            else LowIncomeClaim(category=opinion.low_income.category, from_=opinion.low_income.from_)
        )
    return facts.model_copy(update=changes)


def _certificate(declared: CertificateClaim | None, confirmed: ConfirmedCertificate) -> CertificateClaim:
    components = confirmed.components
    if components is None:
        components = declared.components if declared and confirmed.category == "multiple" else ()
    return CertificateClaim(
        category=confirmed.category,
        level=confirmed.level,
        reissue=declared.reissue if declared else 0,
        components=components,
        issued_on=confirmed.issued_on,
        expires_on=confirmed.expires_on,
        status=confirmed.status,
    )


def _status_now(application: Application) -> str:
    return f"现为{STATUS_NAMES[application.status]} (its status is {application.status})"


STATUS_NAMES: dict[ApplicationStatus, str] = {
    "submitted": "已提交",
    "in_review": "审核中",
    "returned": "退回补正",
    "approved": "已批准",
    "rejected": "不予批准",
    "withdrawn": "已撤回",
}
STAGE_NAMES: dict[Stage, str] = {
    "township": "乡镇（街道）初审",
    "cdpf": "县级残联审核",
    "civil_affairs": "县级民政部门审定",
}

"""What anybody may ask without a login: how far one's own application is."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, StringConstraints
from sqlalchemy import select

from libs.common.errors import NotFound
from libs.common.vocabulary import ApplicationStatus, Stage, Subsidy
from libs.common.web import Tx, router
from services.intake.api.doors import Keys
from services.intake.application_records import filed_in
from services.intake.rate import RateLimit
from services.intake.tables import applications

api = router(prefix="/v1/public", tags=["public"])


class Question(BaseModel):
    """The receipt number, and the last four characters of the applicant's resident ID."""

    receipt_no: Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, max_length=40)]
    id_last4: Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^\d{3}[\dXx]$")]


class Progress(BaseModel):
    """No name, no number, no disability: where it is, and what became of it."""

    receipt_no: str
    status: ApplicationStatus
    stage: Stage | None
    applied_on: date
    due_on: date | None
    decided_on: date | None
    subsidies: tuple[Subsidy, ...]
    granted: tuple[Subsidy, ...]
    reason: str | None


def _not_too_often(request: Request) -> None:
    limit: RateLimit = request.app.state.progress_limit
    limit.take(request.client.host if request.client else "")


@api.post("/progress", dependencies=[Depends(_not_too_often)])
async def progress(question: Question, request: Request, tx: Tx, keys: Keys) -> Progress:
    """How far an application is. A wrong receipt number and a wrong ID are answered alike."""
    guesses: RateLimit = request.app.state.receipt_limit
    guesses.require_room(question.receipt_no)
    found = await tx.connection.execute(select(applications).where(applications.c.receipt_no == question.receipt_no))
    row = found.mappings().one_or_none()
    filed = filed_in(row) if row else None
    if filed is None or filed.declaration(keys).applicant.id_number[-4:] != question.id_last4:
        guesses.take(question.receipt_no)
        raise NotFound("no application has this receipt number and resident ID")
    application = filed.application
    return Progress(
        receipt_no=filed.receipt_no,
        status=application.status,
        stage=application.stage,
        applied_on=application.applied_on,
        due_on=application.due_on,
        decided_on=application.decided_on,
        subsidies=application.subsidies,
        granted=application.granted,
        reason=application.reason if application.status in ("returned", "rejected") else None,
    )

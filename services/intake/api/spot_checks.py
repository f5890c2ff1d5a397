"""Spot checks of archives over REST, by civil affairs and federations of counties and prefectures (notice 5.3)."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.period import Period
from libs.common.web import Page, Paging, Tx, router
from services.intake.archive_tables import archive_checks, completion_tasks
from services.intake.archives import DocumentKind
from services.intake.handlers import spot_checks as handlers
from services.intake.tables import applications

api = router(prefix="/v1", tags=["spot checks"])

Checker = Annotated[Principal, Depends(caller("civil_affairs", "cdpf"))]
Seed = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[ -~]+$")]


class ArchiveCheck(BaseModel):
    """`seed`: whoever knows it draws the same sample again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"area": "530102", "period": "2026-03", "sample_size": 20, "seed": 42}]}
    )

    area: Area
    period: Period
    sample_size: Annotated[int, Field(ge=1, le=1000)]
    seed: Seed | int


class Item(BaseModel):
    application_id: UUID
    receipt_no: str
    person_id: str
    area: str
    channel: str
    stratum: str
    verdict: handlers.Verdict | None
    missing: list[DocumentKind]
    judged_by: str | None
    judged_at: datetime | None
    tasks: int
    tasks_done: int


class Report(BaseModel):
    """Of a check: how many archives were judged how, what they miss, and how much of that is completed by now."""

    judged: int
    complete: int
    missing: int
    missing_by_kind: dict[str, int]
    missing_by_stratum: dict[str, int]
    tasks: int
    tasks_done: int
    done: bool


class ArchiveCheckView(BaseModel):
    archive_check_id: UUID
    area: str
    period: Period
    sample_size: int
    seed: str
    population: int
    body: str
    drawn_by: str
    drawn_at: datetime
    items: list[Item]
    report: Report


class Duty(BaseModel):
    """Of a body (`office` of `area`): when it drew a sample last, and by when it is to draw the next."""

    area: str
    office: Literal["civil_affairs", "cdpf"]
    drawn_on: date | None
    due_on: date
    overdue: bool


class Duties(BaseModel):
    items: list[Duty]


class Judgement(BaseModel):
    verdict: handlers.Verdict
    missing: list[DocumentKind] = []


class Judged(BaseModel):
    archive_check_id: UUID
    application_id: UUID
    verdict: handlers.Verdict
    missing: list[DocumentKind]


class CompletionTask(BaseModel):
    task_id: UUID
    archive_check_id: UUID
    application_id: UUID
    receipt_no: str
    person_id: str
    kind: DocumentKind
    area: str
    status: Literal["open", "done"]
    overdue: bool
    opened_on: date
    due_on: date
    done_on: date | None
    document_id: UUID | None


@api.post("/archive-checks", status_code=201)
async def draw(check: ArchiveCheck, tx: Tx, checker: Checker) -> ArchiveCheckView:
    """Draws a sample of archives, in proportion to the areas below and the channels."""
    check_id = await handlers.draw_archive_check(
        tx, checker, check.area, check.period, sample_size=check.sample_size, seed=str(check.seed)
    )
    return await _view(tx, await handlers.find_archive_check(tx, checker, check_id))


@api.get("/archive-checks")
async def list_archive_checks(
    tx: Tx, reader: Official, paging: Annotated[Paging, Depends()], area: Annotated[Area | None, Query()] = None
) -> Page:
    """The checks of an area, newest first."""
    query = select(archive_checks).where(reader.within(archive_checks.c.area, area))
    cut = paging.cut(query, archive_checks.c.archive_check_id, descending=True)
    found = [row | {"period": str(Period.of(row["period"]))} for row in rows(await tx.connection.execute(cut))]
    return paging.page(found, "archive_check_id")


@api.get("/duties")
async def read_duties(tx: Tx, reader: Official, area: Annotated[Area | None, Query()] = None) -> Duties:
    """Intake's part of the calendar of duties: by when each body is to draw a spot check (notice 5.3). Comparisons and
    reviews are matching's part: its `GET /v1/duties`."""
    if area is not None:
        reader.require_area(area)
    duties = await handlers.duties_of(tx, reader.area if area is None else area, on=business_today())
    return Duties(items=[Duty.model_validate(duty) for duty in duties])


@api.get("/archive-checks/{archive_check_id}")
async def read(archive_check_id: UUID, tx: Tx, reader: Official) -> ArchiveCheckView:
    """A check with its sample, the verdicts and the report."""
    return await _view(tx, await handlers.find_archive_check(tx, reader, archive_check_id))


@api.post("/archive-checks/{archive_check_id}/items/{application_id}")
async def judge(archive_check_id: UUID, application_id: UUID, judgement: Judgement, tx: Tx, checker: Checker) -> Judged:
    """The verdict on one archive. What is missing is asked for until it is there."""
    await handlers.judge_archive(
        tx,
        checker,
        archive_check_id,
        application_id,
        verdict=judgement.verdict,
        missing=judgement.missing,
        on=business_today(),
    )
    return Judged(archive_check_id=archive_check_id, application_id=application_id, **judgement.model_dump())


@api.get("/completion-tasks")
async def list_completion_tasks(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Annotated[Area | None, Query()] = None,
    status: Literal["open", "done"] | None = None,
) -> Page:
    """What spot checks found missing, oldest first; done with the document that completes it."""
    query = (
        select(completion_tasks, applications.c.receipt_no, applications.c.person_id)
        .join(applications, applications.c.application_id == completion_tasks.c.application_id)
        .where(reader.within(completion_tasks.c.area, area))
    )
    if status is not None:
        is_open = completion_tasks.c.done_on.is_(None)
        query = query.where(is_open if status == "open" else ~is_open)
    today, found = business_today(), rows(await tx.connection.execute(paging.cut(query, completion_tasks.c.task_id)))
    shown = [
        CompletionTask(
            **row,
            status="done" if row["done_on"] else "open",
            overdue=row["done_on"] is None and row["due_on"] < today,
        ).model_dump()
        for row in found
    ]
    return paging.page(shown, "task_id")


async def _view(tx: Transaction, row: dict[str, Any]) -> ArchiveCheckView:
    items = [Item.model_validate(item) for item in await handlers.items_of(tx, row["archive_check_id"])]
    return ArchiveCheckView(**row | {"period": Period.of(row["period"])}, items=items, report=_report(items))


def _report(items: list[Item]) -> Report:
    judged = [item for item in items if item.verdict is not None]
    lacking = [item for item in judged if item.verdict == "missing"]
    tasks, tasks_done = sum(item.tasks for item in items), sum(item.tasks_done for item in items)
    return Report(
        judged=len(judged),
        complete=len(judged) - len(lacking),
        missing=len(lacking),
        missing_by_kind=Counter(kind for item in lacking for kind in item.missing),
        missing_by_stratum=Counter(item.stratum for item in lacking),
        tasks=tasks,
        tasks_done=tasks_done,
        done=len(judged) == len(items) and tasks == tasks_done,
    )

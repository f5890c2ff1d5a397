"""What an area publishes of its policy, without a login, and the letters that have to be signed again for it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import Date, and_, cast, literal, or_, select
from starlette.responses import Response

from libs.common.areas import Area
from libs.common.auth import Official
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.papers.answers import Form, answer_with
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys, Submitter
from services.intake.application_records import load_application
from services.intake.handlers import publications as handlers
from services.intake.handlers.publications import guide_of, notice_of, published_on
from services.intake.papers import Maker, commitment_letter, service_guide
from services.intake.tables import applications, applied_subsidies, publications

public = router(prefix="/v1/public", tags=["public"])
api = router(prefix="/v1", tags=["papers"], dependencies=RATE_LIMITED)

InArea = Annotated[Area, Query()]
OnDay = Annotated[date | None, Query()]


class Said(BaseModel):
    title: str
    text: str


class NoticeView(BaseModel):
    """The policy of an area in plain words and what an applicant commits to; `version` is named by who signs it.
    `published_on`: since when it reads like this, null before the day that it was first looked at."""

    area: str
    version: str
    on: date
    published_on: date | None
    lines: list[Said]
    commitments: list[str]


class GuideSection(BaseModel):
    title: str
    lines: list[str]


class GuideView(BaseModel):
    """The service guide of an area (办事指南, notice 6.3)."""

    area: str
    version: str
    on: date
    published_on: date | None
    sections: list[GuideSection]


class Signed(BaseModel):
    """The letter of notice and commitment of an application. `to_sign_again`: what it says has changed since."""

    signed_on: date | None
    version: str | None
    published_on: date | None
    to_sign_again: bool


class SignedAgain(BaseModel):
    signed_on: date


@public.get("/notice")
async def read_notice(tx: Tx, area: InArea, on: OnDay = None) -> NoticeView:
    """The letter of notice and commitment (政策告知承诺书, notice 1.2) of an area as data, as it reads on a day."""
    day = on or business_today()
    told = await notice_of(tx, area, day)
    return NoticeView(
        area=area,
        version=told.version,
        on=day,
        published_on=await published_on(tx, "letter", area, day),
        lines=[Said(title=line.title, text=line.text) for line in told.lines],
        commitments=list(told.commitments),
    )


@public.get("/notice.{form}")
async def print_notice(form: Form, tx: Tx, area: InArea, on: OnDay = None) -> Response:
    """The same as a paper, to be filled in and signed."""
    today = business_today()
    return await answer_with(commitment_letter(await notice_of(tx, area, on or today), Maker("", today)), form)


@public.get("/guide")
async def read_guide(tx: Tx, area: InArea, on: OnDay = None) -> GuideView:
    """The service guide of an area as data, as it reads on a day."""
    day = on or business_today()
    guide = await guide_of(tx, area, day)
    return GuideView(
        area=area,
        version=guide.version,
        on=day,
        published_on=await published_on(tx, "guide", area, day),
        sections=[GuideSection(title=section.title, lines=list(section.lines)) for section in guide.sections],
    )


@public.get("/guide.{form}")
async def print_guide(form: Form, tx: Tx, area: InArea, on: OnDay = None) -> Response:
    """The service guide as a paper, with the day since which it reads like this."""
    today = business_today()
    day = on or today
    guide = await guide_of(tx, area, day)
    published = await published_on(tx, "guide", area, day)
    return await answer_with(service_guide(guide, published or day, Maker("", today)), form)


@api.get("/applications/{application_id}/commitment")
async def read_commitment(application_id: UUID, tx: Tx, reader: Official) -> Signed:
    """The letter that stands with an application, and whether it has to be signed again."""
    filed = await load_application(tx, reader, application_id)
    return Signed(**asdict(await handlers.signature_of(tx, filed, business_today())))


@api.post("/applications/{application_id}/commitment")
async def sign_again(application_id: UUID, signed: SignedAgain, tx: Tx, keys: Keys, submitter: Submitter) -> Signed:
    """The person has signed the letter as it reads now; the signed paper is uploaded as a document of the archive."""
    signature = await handlers.sign_again(
        tx, keys, submitter, application_id, signed_on=signed.signed_on, on=business_today()
    )
    return Signed(**asdict(signature))


@api.get("/commitments")
async def list_commitments(
    tx: Tx, reader: Official, paging: Annotated[Paging, Depends()], area: Annotated[Area | None, Query()] = None
) -> Page:
    """Open and granted applications whose letter has changed since it was signed: to be signed again (notice 1.2)."""
    a, p, today = applications.c, publications.c, business_today()
    latest = (
        select(p.published_on)
        .where(p.kind == "letter", a.area.startswith(p.area), p.published_on <= today)
        .order_by(p.area.desc(), p.published_on.desc())  # a longer area sorts behind those that it begins with
        .limit(1)
        .correlate(applications)
        .scalar_subquery()
    )
    stands = select(literal(1)).where(
        applied_subsidies.c.application_id == a.application_id, applied_subsidies.c.state.in_(("open", "granted"))
    )
    outdated = or_(a.committed_on < latest, and_(a.committed_on.is_(None), latest.is_not(None)))
    query = select(
        a.application_id,
        a.receipt_no,
        a.person_id,
        a.area,
        a.status,
        a.committed_on.label("signed_on"),
        a.commitment_version.label("version"),
        cast(latest, Date).label("published_on"),
    ).where(reader.within(a.area, area), outdated, stands.exists())
    found: list[dict[str, Any]] = list(
        rows(await tx.connection.execute(paging.cut(query, a.application_id, descending=True)))
    )
    return paging.page(found, "application_id")

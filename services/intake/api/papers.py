"""Papers over REST, as PDF and HTML: of one application, of an area's policy, and what the village reads."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import func, insert, select, text
from starlette.responses import Response

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import InvalidInput
from libs.common.identity import mask_name
from libs.common.papers.answers import Form, answer_with
from libs.common.papers.lists import ListForm, answer_with_list, as_paper
from libs.common.period import Period
from libs.common.web import Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys
from services.intake.application_records import Filed, filed_in, load_application
from services.intake.archive_tables import documents
from services.intake.archives import missing_kinds
from services.intake.handlers.publications import notice_of, signature_of
from services.intake.papers import (
    DOCUMENT_NAMES,
    Case,
    Listed,
    Maker,
    PaperKind,
    Review,
    commitment_letter,
    paper_of,
    papers_of,
    public_list,
    require_paper,
)
from services.intake.policy_records import parameters_of
from services.intake.tables import applications, assessments, paper_deliveries, reviews
from services.intake.vault import Vault
from services.intake.words import ShortWords

api = router(prefix="/v1", tags=["papers"])
public = router(prefix="/v1/public", tags=["public"])

Printer = Annotated[Principal, Depends(caller("partner", "township", "cdpf", "civil_affairs"))]
Poster = Annotated[Principal, Depends(caller("township", "civil_affairs"))]


def _period(period: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-03"])]) -> Period:
    try:
        return Period.parse(period)
    except ValueError as error:
        raise InvalidInput.at("query.period", str(error)) from error


InPeriod = Annotated[Period, Depends(_period)]

_MOST_LISTED = 5000


class Delivery(BaseModel):
    """How a paper reached its addressee. `received_by`: the person, or who took it for them."""

    delivered_on: date
    method: Literal["in_person", "post", "message", "left"]
    received_by: ShortWords


class Delivered(Delivery):
    recorded_by: str


class PaperView(BaseModel):
    kind: PaperKind
    deliveries: list[Delivered]


@api.get("/applications/{application_id}/papers/{kind}.{form}", dependencies=RATE_LIMITED)
async def print_paper(
    application_id: UUID, kind: PaperKind, form: Form, tx: Tx, keys: Keys, printer: Printer
) -> Response:
    """政策告知承诺书, 受理 / 补正 / 不予批准通知书, 审批表. They name the person, mask the resident ID, and each
    printing is logged. 409 while the application has no such paper. A letter of notice and commitment that has to be
    signed again says the policy of today."""
    filed = await load_application(tx, printer, application_id)
    case = await _case(tx, keys, filed)
    today = business_today()
    maker = Maker(printer.sub, today)
    if kind == "commitment":
        signature = await signature_of(tx, filed, today)
        signed_on = None if signature.to_sign_again else signature.signed_on
        told = await notice_of(tx, filed.application.area, signed_on or today)
        paper = commitment_letter(told, maker, case, signed_on=signed_on)
    else:
        paper = paper_of(kind, case, maker)
    await record(tx, printer, f"print {kind}", str(application_id), person_id=filed.application.person_id, form=form)
    return await answer_with(paper, form)


@api.get("/applications/{application_id}/papers", dependencies=RATE_LIMITED)
async def list_papers(application_id: UUID, tx: Tx, keys: Keys, reader: Official) -> list[PaperView]:
    """The papers that an application has as it stands, each with its receipts of delivery (送达回证)."""
    case = await _case(tx, keys, await load_application(tx, reader, application_id))
    delivered: dict[str, list[Delivered]] = {}
    for row in rows(await tx.connection.execute(_DELIVERIES, {"application_id": application_id})):
        delivered.setdefault(row["kind"], []).append(Delivered.model_validate(row))
    return [PaperView(kind=kind, deliveries=delivered.get(kind, [])) for kind in papers_of(case)]


@api.post("/applications/{application_id}/papers/{kind}/deliveries", status_code=201, dependencies=RATE_LIMITED)
async def note_delivery(
    application_id: UUID, kind: PaperKind, delivery: Delivery, tx: Tx, keys: Keys, deliverer: Poster
) -> Delivered:
    """The receipt of a paper's delivery: when, how, and who took it. 409 while the application has no such paper."""
    filed = await load_application(tx, deliverer, application_id)
    if delivery.delivered_on > business_today() or delivery.delivered_on < filed.received_on:
        raise InvalidInput.at("delivered_on", "日期尚未到来，或早于申请日 (in the future, or before the application)")
    require_paper(kind, await _case(tx, keys, filed))
    delivered = Delivered(**delivery.model_dump(), recorded_by=deliverer.sub)
    row = delivered.model_dump() | {"application_id": application_id, "kind": kind}
    await tx.connection.execute(insert(paper_deliveries).values(delivery_id=new_id(), recorded_at=tx.now, **row))
    await record(tx, deliverer, f"deliver {kind}", str(application_id), person_id=filed.application.person_id)
    return delivered


@public.get("/lists")
async def show_list(tx: Tx, keys: Keys, area: Annotated[Area, Query()], period: InPeriod) -> dict[str, Any]:
    """Who was newly approved in a month (公示), each for the days of the area's parameter and no longer. Names by their
    first character; neither resident ID nor disability."""
    today = business_today()
    listed = await _listed(tx, keys, area, period, today)
    return {
        "area": area,
        "period": str(period),
        "hotline": (await parameters_of(tx, area)).hotline(today),
        "items": [
            {
                "name": mask_name(item.name),
                "area": item.area,
                "subsidy": item.subsidy,
                "amount_fen": item.amount_fen,
                "from": item.from_period,
                "shown_until": item.shown_until,
            }
            for item in listed
        ],
        "next_cursor": None,
    }


@api.get("/public-list.{form}")
async def print_list(
    form: Form | ListForm,
    tx: Tx,
    keys: Keys,
    poster: Poster,
    area: Annotated[Area, Query()],
    period: InPeriod,
    volume: Annotated[int, Query(ge=1)] = 1,
) -> Response:
    """The public list with whole names, to be put up in the village."""
    poster.require_area(area)
    today = business_today()
    listed = await _listed(tx, keys, area, period, today)
    await record(tx, poster, "print public list", f"{area}:{period}", form=form, names=len(listed))
    hotline = (await parameters_of(tx, area)).hotline(today)
    paper = public_list(area, str(period), listed, hotline, Maker(poster.sub, today))
    if form == "html":
        return await answer_with(as_paper(paper, volume), form)
    return await answer_with_list(paper, form, volume=volume)


async def _case(tx: Transaction, keys: Vault, filed: Filed) -> Case:
    application_id, declaration = filed.application.application_id, filed.declaration(keys)
    given = await tx.connection.execute(
        select(reviews).where(reviews.c.application_id == application_id).order_by(reviews.c.version)
    )
    present = await tx.connection.execute(
        select(documents.c.kind).where(documents.c.application_id == application_id).distinct()
    )
    missing = missing_kinds(declaration, set(present.scalars()), on=filed.received_on)
    return Case(
        application=filed.application,
        declaration=declaration,
        receipt_no=filed.receipt_no,
        received_on=filed.received_on,
        reviews=[Review(row.stage, row.outcome, row.reason, row.sub, row.reviewed_on) for row in given],
        missing=[DOCUMENT_NAMES[kind] for kind in missing],
    )


async def _listed(tx: Transaction, keys: Vault, area: str, period: Period, today: date) -> list[Listed]:
    """Those approved in the month whose days are not over."""
    days = timedelta(days=(await parameters_of(tx, area)).days("public_list.days", today))
    latest = (
        select(assessments.c.decisions)
        .where(assessments.c.application_id == applications.c.application_id)
        .order_by(assessments.c.application_version.desc(), assessments.c.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = await tx.connection.execute(
        select(applications, latest.label("decisions"))
        .where(
            applications.c.area.startswith(area, autoescape=True),
            applications.c.status == "approved",
            applications.c.decided_on.between(
                func.greatest(period.first_day, today - days), func.least(period.last_day, today)
            ),
        )
        .order_by(applications.c.area, applications.c.application_id)
        .limit(_MOST_LISTED)
    )
    listed = []
    for row in rows(found):
        filed = filed_in(row)
        amounts = {decision["subsidy"]: decision for decision in row["decisions"] or ()}
        listed += [
            Listed(
                name=filed.declaration(keys).applicant.name,
                area=filed.application.area,
                subsidy=subsidy,
                amount_fen=amounts[subsidy]["amount_fen"],
                from_period=amounts[subsidy]["first_period"],
                shown_until=row["decided_on"] + days,
            )
            for subsidy in filed.application.granted
            if subsidy in amounts
        ]
    return listed


_DELIVERIES = text(
    "SELECT kind, delivered_on, method, received_by, recorded_by FROM paper_deliveries"
    " WHERE application_id = :application_id ORDER BY delivery_id"
)

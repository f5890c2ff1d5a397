"""Money paid to a child welfare institution (notice 4.6), child by child: received, used with a receipt, unspent."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from libs.common import audit
from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official, Principal
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.errors import Conflict, NotFound
from libs.common.money import Fen
from libs.common.web import Page, Tx, router
from services.disbursement.errors import AdministrativeUse, MoreThanUnspent
from services.disbursement.queries import query

api = router(prefix="/v1/institutions/{org_code}", tags=["institutions"])
listed = router(tags=["institutions"])

OrgCode = Annotated[str, Path(min_length=9, max_length=18, pattern="^[0-9A-Z]+$")]
Category = Literal[
    "food_and_clothing", "nursing", "medical", "rehabilitation", "education", "assistive_devices", "returned"
]


class NewChild(BaseModel):
    model_config = ConfigDict(extra="forbid")

    person_id: str = Field(min_length=1, max_length=100)
    since: date
    until: date | None = None


class NewUse(BaseModel):
    """`returned`: unspent money that went back (结余缴回)."""

    model_config = ConfigDict(extra="forbid")

    person_id: str = Field(min_length=1, max_length=100)
    category: Category | Literal["administrative"]
    amount_fen: Fen = Field(gt=0)
    used_on: date
    receipt_no: str = Field(min_length=1, max_length=100)
    note: str | None = Field(default=None, max_length=500)


async def _sees_institution(org_code: OrgCode, tx: Tx, reader: Official) -> Principal:
    """404 for an institution whose children are all outside one's area."""
    areas = (
        await tx.connection.execute(
            text("SELECT area FROM institution_children WHERE org_code = :org"), {"org": org_code}
        )
    ).scalars()
    if not any(reader.covers(area) for area in areas):
        raise NotFound("no such institution")
    return reader


@listed.get("/v1/institutions")
async def list_institutions(tx: Tx, reader: Official, area: Area | None = None) -> Page:
    """Institutions that are or were a child's guardian in an area, with how many children, at most 500."""
    if area is not None:
        reader.require_area(area)
    found = await tx.connection.execute(
        text(
            "SELECT org_code, count(DISTINCT person_id) AS children, count(DISTINCT person_id)"
            " FILTER (WHERE days @> CAST(:today AS date)) AS children_now FROM institution_children"
            " WHERE area LIKE :area || '%' GROUP BY org_code ORDER BY org_code LIMIT 500"
        ),
        {"area": reader.area if area is None else area, "today": business_today()},
    )
    return Page(items=list(rows(found)))


@api.post("/children", status_code=status.HTTP_201_CREATED)
async def record_child(org_code: OrgCode, body: NewChild, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """The institution is the child's guardian from a day on; 409 if another one is by then."""
    area: str | None = (
        await tx.connection.execute(text("SELECT area FROM payees WHERE person_id = :id"), {"id": body.person_id})
    ).scalar_one_or_none()
    if area is None or not civil_affairs.covers(area):
        raise NotFound("no such person")
    await tx.lock(body.person_id)
    new = await tx.connection.execute(
        text(
            "INSERT INTO institution_children (person_id, org_code, area, days, recorded_by)"
            " SELECT :person_id, :org, :area, d.days, :sub FROM (SELECT daterange(:since, :until, '[]') AS days) AS d"
            " WHERE NOT EXISTS (SELECT FROM institution_children WHERE person_id = :person_id AND days && d.days)"
            " RETURNING true"
        ),
        {
            "person_id": body.person_id,
            "org": org_code,
            "area": area,
            "since": body.since,
            "until": body.until,
            "sub": civil_affairs.sub,
        },
    )
    if new.scalar_one_or_none() is None:
        raise Conflict("an institution is recorded for these days already")
    await audit.record(tx, civil_affairs, "record institution", org_code, person_id=body.person_id)
    return {"org_code": org_code, **body.model_dump()}


@api.get("/funds")
async def read_funds(
    org_code: OrgCode, tx: Tx, reader: Annotated[Principal, Depends(_sees_institution)], on: date | None = None
) -> Page:
    """Per child in one's area: received, used by category, unspent, in fen, up to a day."""
    found = await tx.connection.execute(query("institution_funds"), {"org": org_code, "area": reader.area, "on": on})
    return Page(items=list(rows(found)))


@api.post("/funds", status_code=status.HTTP_201_CREATED)
async def record_use(org_code: OrgCode, body: NewUse, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """Records a use with its receipt. 422 for administrative expenses, 409 for more than is left of the child's."""
    await _sees_institution(org_code, tx, civil_affairs)
    if body.category == "administrative":
        raise AdministrativeUse
    await tx.lock(f"institution:{org_code}/{body.person_id}")
    child = await _child(tx, org_code, body.person_id, civil_affairs.area)
    if body.amount_fen > child["unspent_fen"]:
        raise MoreThanUnspent(f"{child['unspent_fen']} fen are unspent")
    new = await tx.connection.execute(
        text(
            "INSERT INTO institution_uses (org_code, person_id, category, amount_fen, used_on, receipt_no, note,"
            " recorded_by) VALUES (:org, :person_id, :category, :amount_fen, :used_on, :receipt_no, :note, :sub)"
            " ON CONFLICT DO NOTHING RETURNING true"
        ),
        body.model_dump() | {"org": org_code, "sub": civil_affairs.sub},
    )
    if new.scalar_one_or_none() is None:
        raise Conflict(f"receipt {body.receipt_no} was recorded already")
    await audit.record(
        tx,
        civil_affairs,
        "record institution's use",
        org_code,
        person_id=body.person_id,
        category=body.category,
        amount_fen=body.amount_fen,
    )
    return await _child(tx, org_code, body.person_id, civil_affairs.area)


async def _child(tx: Transaction, org_code: str, person_id: str, area: str) -> dict[str, Any]:
    found = await tx.connection.execute(query("institution_funds"), {"org": org_code, "area": area, "on": None})
    for row in rows(found):
        if row["person_id"] == person_id:
            return row
    raise NotFound("no such child of this institution")

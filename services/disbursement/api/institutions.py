"""Money paid to a child welfare institution (notice 4.6), child by child: received, used with a receipt, unspent."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official, Principal
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import NotFound
from libs.common.money import Fen
from libs.common.web import Page, Tx, router
from services.disbursement.errors import AdministrativeUse
from services.disbursement.handlers import institutions
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
    await institutions.record_child(tx, civil_affairs, org_code, body.person_id, since=body.since, until=body.until)
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
    return await institutions.record_use(tx, civil_affairs, org_code, body.model_dump())

"""Upload of the monthly table to the national system, with its receipt on record (notice 4.2)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from libs.common import audit
from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official, authenticate
from libs.common.database import Database, rows
from libs.common.errors import Conflict, Unavailable
from libs.common.period import Period
from libs.common.web import Page, Tx, router
from services.disbursement.api.periods import written
from services.disbursement.api.statistics import monthly_table
from services.disbursement.national import NotReceived, StatisticsReceiver
from services.disbursement.tables import PeriodColumn

national_side = APIRouter(prefix="/v1", tags=["statistics"])
"""Asks the national system, so it has no transaction around it."""

api = router(prefix="/v1", tags=["statistics"])


class NewUpload(BaseModel):
    model_config = ConfigDict(extra="forbid")

    area: Area
    period: Period


def _token(request: Request) -> None:
    authenticate(request)


@national_side.post("/statistics-uploads", status_code=201, dependencies=[Depends(_token)])
async def upload(body: NewUpload, request: Request, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """Uploads the table as it is now; the same table again is the same upload. 409 when no system is set, 503 when it
    does not take it."""
    civil_affairs.require_area(body.area)
    receiver: StatisticsReceiver | None = request.app.state.national
    if receiver is None:
        raise Conflict("no national system is set (LIANGBU_NATIONAL_STATISTICS_URL)")
    database: Database = request.app.state.database
    async with database.transaction() as tx:
        table = await monthly_table(tx, body.area, body.period, detailed=True)
    digest = hashlib.sha256(json.dumps(table, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
    try:
        receipt = await receiver.upload(digest, table)
    except NotReceived as error:
        raise Unavailable(f"the national system did not take the table: {error}") from error
    async with database.transaction() as tx:
        known = await tx.connection.execute(
            text(
                "INSERT INTO statistics_uploads (area, period, digest, receipt_no, uploaded_by, uploaded_at)"
                " VALUES (:area, :period, :digest, :receipt_no, :sub, :now) ON CONFLICT (area, period, digest)"
                " DO UPDATE SET receipt_no = statistics_uploads.receipt_no"
                " RETURNING upload_id, area, digest, receipt_no, uploaded_by, uploaded_at"
            ),
            {
                "area": body.area,
                "period": body.period.first_day,
                "digest": digest,
                "receipt_no": receipt.receipt_no,
                "sub": civil_affairs.sub,
                "now": tx.now,
            },
        )
        saved = rows(known)[0] | {"period": str(body.period)}
        await audit.record(tx, civil_affairs, "upload statistics", str(saved["upload_id"]), area=body.area)
    return saved


@api.get("/statistics-uploads")
async def list_uploads(tx: Tx, reader: Official) -> Page:
    """Newest first, at most 500, of one's area."""
    found = await tx.connection.execute(
        text(
            "SELECT * FROM statistics_uploads WHERE area LIKE :area || '%' ORDER BY uploaded_at DESC LIMIT 500"
        ).columns(period=PeriodColumn),
        {"area": reader.area},
    )
    return Page(items=written(rows(found)))

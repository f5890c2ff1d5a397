"""Taking over an existing roster (存量接管) over REST: the file in, the report out."""

from __future__ import annotations

import csv
import io
import tempfile
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from sqlalchemy import Select, select

from libs.common.areas import Area
from libs.common.auth import Anyone, Principal, caller
from libs.common.clock import business_today
from libs.common.database import Database, rows
from libs.common.errors import InvalidInput
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import Keys, StreamedRoute
from services.intake.handlers.roster_imports import CHUNK_ROWS, RosterReading, read_import, receive_roster
from services.intake.tables import roster_imports, roster_rejects

LARGEST_BYTES = 1 << 30
AT_ONCE_ROWS = CHUNK_ROWS
"""Files of so many rows are read within the request, longer ones behind it."""

api = router(prefix="/v1", tags=["roster imports"])
streamed = APIRouter(prefix="/v1", tags=["roster imports"], route_class=StreamedRoute)

Owner = Annotated[Principal, Depends(caller("civil_affairs"))]


class RosterImport(BaseModel):
    """`status`: the file is read, what stands on it is judged, or everything is decided. Counts are of rows: `accepted`
    for judgement, of which some are `waiting` and `granted` in at least one subsidy; `rejected` for what stands in
    them, `known` here already, `refused` by policy in at least one subsidy; `unpayable` of those accepted, for money
    may not go to the account on the roster. `read` of `rows` tells how far it is. `unanswered` of those waiting
    do so a quarter of an hour after anybody was decided on: what was told of them was not understood, and lies among
    the dead letters of intake or eligibility."""

    import_id: UUID
    area: str
    status: Literal["reading", "judging", "finished"]
    rows: int
    read: int
    accepted: int
    waiting: int
    unanswered: int
    granted: int
    refused: int
    rejected: int
    known: int
    unpayable: int
    digest: str
    imported_by: str
    imported_at: datetime
    finished_at: datetime | None


class Reject(BaseModel):
    """`row` as a spreadsheet counts it; `field` is the column or, of what policy refuses, the subsidy. Who is
    `unpayable` is taken over, and paid once there is an account that may be paid to."""

    row: int
    field: str
    kind: Literal["invalid", "known", "refused", "unpayable"]
    reason: str


_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
                "schema": {"type": "string", "format": "binary"}
            },
        },
    }
}


@streamed.post("/roster-imports", status_code=201, response_model=RosterImport, openapi_extra=_FILE)
async def import_roster(request: Request, keys: Keys, owner: Owner, area: Annotated[Area, Query()]) -> Any:
    """The body is the roster: CSV (UTF-8 or GB 18030) or xlsx, with the columns of docs/takeover.md. The same file
    again is the same import. Longer files are read behind the answer (202)."""
    owner.require_area(area)
    database: Database = request.app.state.database
    reading: RosterReading = request.app.state.roster_reading
    with tempfile.TemporaryFile() as file:
        size = 0
        async for chunk in request.stream():
            file.write(chunk)
            size += len(chunk)
        if size == 0:
            raise InvalidInput.at("body", "文件是空的 (is empty)")
        import_id = await receive_roster(
            database, request.app.state.stores, keys, owner, file, area=area, on=business_today()
        )
    async with database.transaction() as tx:
        found = await read_import(tx, owner, import_id)
    if found["status"] == "reading" and found["rows"] <= AT_ONCE_ROWS:
        await reading.read(import_id)
        async with database.transaction() as tx:
            found = await read_import(tx, owner, import_id)
    status = 202 if found["status"] == "reading" else 201
    return JSONResponse(_view(found).model_dump(mode="json"), status)


@api.get("/roster-imports")
async def list_imports(tx: Tx, reader: Anyone, paging: Annotated[Paging, Depends()], area: Area | None = None) -> Page:
    """The imports of an area, newest first."""
    query = select(roster_imports.c.import_id).where(reader.within(roster_imports.c.area, area))
    found = rows(await tx.connection.execute(paging.cut(query, roster_imports.c.import_id, descending=True)))
    page = paging.page(found, "import_id")
    items = [_view(await read_import(tx, reader, row["import_id"])) for row in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@api.get("/roster-imports/{import_id}")
async def get_import(import_id: UUID, tx: Tx, reader: Anyone) -> RosterImport:
    """How far it is, and what became of the rows."""
    return _view(await read_import(tx, reader, import_id))


@api.get("/roster-imports/{import_id}/rejects")
async def list_rejects(import_id: UUID, tx: Tx, reader: Anyone, paging: Annotated[Paging, Depends()]) -> Page:
    """Every row that was not taken over, or not in full, with the reason."""
    await read_import(tx, reader, import_id)
    query = select(roster_rejects).where(roster_rejects.c.import_id == import_id)
    found = rows(await tx.connection.execute(paging.cut(query, roster_rejects.c.reject_id)))
    page = paging.page(found, "reject_id")
    return Page(items=[Reject.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@api.get("/roster-imports/{import_id}/rejects.csv")
async def download_rejects(import_id: UUID, tx: Tx, reader: Anyone) -> StreamingResponse:
    """The same for a spreadsheet, in the order of the rows."""
    await read_import(tx, reader, import_id)
    query: Select[Any] = select(
        roster_rejects.c.row, roster_rejects.c.field, roster_rejects.c.kind, roster_rejects.c.reason
    ).where(roster_rejects.c.import_id == import_id)
    found = await tx.connection.execute(query.order_by(roster_rejects.c.row, roster_rejects.c.reject_id))
    out = io.StringIO("\ufeff")
    out.seek(0, io.SEEK_END)
    writer = csv.writer(out)
    writer.writerow(("row", "field", "kind", "reason"))
    writer.writerows(found.all())
    disposition = {"Content-Disposition": f'attachment; filename="rejects-{import_id}.csv"'}
    return StreamingResponse(iter([out.getvalue()]), media_type="text/csv; charset=utf-8", headers=disposition)


def _view(found: dict[str, Any]) -> RosterImport:
    return RosterImport(
        **{name: found[name] for name in RosterImport.model_fields if name in found},
        read=found["position"],
        digest=found["sha256"],
        finished_at=found["decided_at"],
    )

"""Department feeds: uploaded, streamed to a file, taken in."""

from __future__ import annotations

import asyncio
import os
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import Anyone, Principal, authenticate, caller, in_role
from libs.common.clock import business_today
from libs.common.database import Database, new_id, rows
from libs.common.errors import InvalidInput, NotFound
from libs.common.period import Day
from libs.common.web import Page, Paging, Tx, router
from services.matching.api.parts import PartsOf
from services.matching.formats import UnreadableFeed
from services.matching.handlers import feeds as handlers
from services.matching.rejects import read_rejects, rejects_csv
from services.matching.sources import source_named
from services.matching.tables import feeds

AT_ONCE_BYTES = 50_000_000
"""Files up to this size are taken in within the request, larger ones behind it."""

LARGEST_BYTES = 2 << 30

api = APIRouter()
_streamed = APIRouter(prefix="/v1", tags=["feeds"])
_plain = router(prefix="/v1", tags=["feeds"])

Keeper = Annotated[Principal, Depends(caller("cdpf", "civil_affairs"))]


class Reason(BaseModel):
    """Why a person believes, or does not believe, a snapshot in quarantine."""

    reason: str = Field(min_length=1, max_length=2000)


class Feed(BaseModel):
    """`digest` is the SM3 of the file as sent; `facts` counts what became known by it. `rows_read` grows while the file
    is read. `notices` say what its readers should know, a quarantine's reason among them."""

    feed_id: UUID
    source: str
    area: str
    as_of: date
    mode: Literal["delta", "snapshot"]
    status: Literal["received", "stored", "quarantined", "ready", "refused"]
    accepted: int | None
    rejected: int | None
    digest: str
    facts: int
    refusal: str | None
    notices: list[str]
    rows_read: int | None = None
    released_by: str | None = None
    release_note: str | None = None
    received_at: datetime


@_streamed.post("/feeds/{source}", status_code=201, response_model=Feed)
async def upload_feed(
    source: str,
    request: Request,
    parts: PartsOf,
    area: Annotated[Area | None, Query()] = None,
    as_of: Day | None = None,
    mode: Literal["delta", "snapshot"] = "delta",
) -> Any:
    """The body is the file: CSV, NDJSON, Parquet or xlsx. The same file again is the same feed; over 50 MB it is
    taken in behind the answer (202)."""
    principal = _sender(request)
    described = source_named(source)
    covered = _area_of(principal, area)
    authoritative = handlers.require_sender(described, principal)
    database: Database = request.app.state.database
    feed_id = new_id()
    arrived = parts.folder.arriving(feed_id)
    digest, size = hashes.Hash(hashes.SM3()), 0
    try:
        with arrived.open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())  # what is answered for is kept
        delivery = handlers.Delivery(described, covered, as_of or business_today(), mode, digest.finalize().hex())
        async with database.transaction() as tx:
            feed = await handlers.receive_feed(tx, feed_id, delivery, authoritative=authoritative, principal=principal)
    except BaseException:
        arrived.unlink(missing_ok=True)
        raise
    if feed["feed_id"] != feed_id:  # it was here before
        parts.intake.adopt(arrived, feed)
    status = 201
    if size > AT_ONCE_BYTES:
        parts.intake.arrived.set()
        status = 202
    else:
        await _take_in(parts, feed["feed_id"])
    async with database.transaction() as tx:
        feed = await handlers.read_feed(tx, feed["feed_id"], principal)
    return JSONResponse(_shown(feed, parts).model_dump(mode="json"), status)


@_plain.get("/feeds/{feed_id}")
async def read_feed(feed_id: UUID, tx: Tx, reader: Anyone, parts: PartsOf) -> Feed:
    """While the file is being read, `rows_read` tells how far."""
    feed = await handlers.read_feed(tx, feed_id, reader)
    return _shown(feed, parts)


@_plain.post("/feeds/{feed_id}/release")
async def release_feed(feed_id: UUID, body: Reason, tx: Tx, official: Keeper, parts: PartsOf) -> Feed:
    """Believes a snapshot in quarantine after all; it is acted on behind the answer."""
    await handlers.release_feed(tx, feed_id, body.reason, official)
    parts.intake.arrived.set()
    return Feed.model_validate(await handlers.read_feed(tx, feed_id, official))


@_plain.post("/feeds/{feed_id}/refusal")
async def refuse_feed(feed_id: UUID, body: Reason, tx: Tx, official: Keeper) -> Feed:
    """Does not believe a snapshot in quarantine; nothing of it is ever compared."""
    await handlers.refuse_feed(tx, feed_id, body.reason, official)
    return Feed.model_validate(await handlers.read_feed(tx, feed_id, official))


@_plain.get("/feeds")
async def list_feeds(
    tx: Tx,
    reader: Anyone,
    paging: Annotated[Paging, Depends()],
    area: Area | None = None,
    source: str | None = None,
    status: Literal["received", "stored", "quarantined", "ready", "refused"] | None = None,
) -> Page:
    query = select(feeds).where(reader.within(feeds.c.area, area))
    for column, value in ((feeds.c.source, source), (feeds.c.status, status)):
        if value is not None:
            query = query.where(column == value)
    found = rows(await tx.connection.execute(paging.cut(query, feeds.c.feed_id, descending=True)))
    page = paging.page(found, "feed_id")
    return Page(items=[Feed.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@_plain.get("/feeds/{feed_id}/rejects.csv")
async def download_rejects(feed_id: UUID, tx: Tx, reader: Anyone, parts: PartsOf) -> StreamingResponse:
    """All rows that were not taken, for a spreadsheet: row, field and reason."""
    feed = await handlers.read_feed(tx, feed_id, reader)
    if feed["accepted"] is None:
        raise NotFound("the feed is not read yet")
    path = parts.folder.rejects(feed["source"], feed["as_of"], feed_id)
    await asyncio.to_thread(parts.folder.fetch, path)
    disposition = {"Content-Disposition": f'attachment; filename="rejects-{feed_id}.csv"'}
    return StreamingResponse(rejects_csv(path), media_type="text/csv", headers=disposition)


@_plain.get("/feeds/{feed_id}/rejects")
async def list_rejects(
    feed_id: UUID,
    tx: Tx,
    reader: Anyone,
    parts: PartsOf,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """The rows that were not taken, in the file's order: row (as a spreadsheet counts), field, its title, reason."""
    feed = await handlers.read_feed(tx, feed_id, reader)
    path = parts.folder.rejects(feed["source"], feed["as_of"], feed_id)
    if feed["accepted"] is not None:
        await asyncio.to_thread(parts.folder.fetch, path)
    titles = {column.name: column.title for column in source_named(feed["source"]).columns}
    found = read_rejects(path, after=cursor, limit=limit) if feed["accepted"] is not None else []
    items = [{**reject, "title": titles.get(reject["field"], "")} for reject in found]
    more = feed["accepted"] is not None and cursor + len(items) < feed["rejected"]
    return {"items": items, "next_cursor": str(cursor + len(items)) if more else None}


def _shown(feed: dict[str, Any], parts: PartsOf) -> Feed:
    return Feed.model_validate({**feed, "rows_read": _rows_read(feed, parts)})


def _rows_read(feed: dict[str, Any], parts: PartsOf) -> int | None:
    if feed["accepted"] is not None:
        return int(feed["accepted"] + feed["rejected"])
    return parts.folder.staging(feed["feed_id"]).rows_read


def _sender(request: Request) -> Principal:
    # This route opens its own short transactions: a file of gigabytes must not hold one.
    authenticate(request)
    return in_role(request, "partner", "cdpf", "civil_affairs")


def _area_of(principal: Principal, area: str | None) -> str:
    if area is not None:
        principal.require_area(area)
        return area
    if not principal.area:
        raise InvalidInput.at("query.area", "此项必填 (Field required)")
    return principal.area


async def _take_in(parts: PartsOf, feed_id: UUID) -> None:
    try:
        await parts.intake.take_in(feed_id)
    except UnreadableFeed:
        await parts.intake.forget(feed_id)
        raise


api.include_router(_streamed)
api.include_router(_plain)

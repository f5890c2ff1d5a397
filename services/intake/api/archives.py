"""Archives over REST: documents in, lists and content out; the two stores checked against each other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import select

from libs.common.audit import record
from libs.common.auth import Admin, Anyone, AuditorOrAdmin, Principal, caller
from libs.common.clock import business_today
from libs.common.database import Database, rows
from libs.common.errors import Unavailable
from libs.common.idempotency import HEADER, IdempotentCall
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys, StreamedRoute
from services.intake.archive_tables import archive_store_checks
from services.intake.archives import DocumentKind, DocumentSource
from services.intake.handlers import archives as handlers
from services.intake.handlers.store_checks import check_stores, is_sound
from services.intake.stores import Store, TwoStores

api = router(prefix="/v1", tags=["archives"], dependencies=RATE_LIMITED)
streamed = APIRouter(
    prefix="/v1/applications/{application_id}", tags=["archives"], dependencies=RATE_LIMITED, route_class=StreamedRoute
)

Archivist = Annotated[Principal, Depends(caller("partner", "township", "cdpf", "civil_affairs"))]
Reader = Annotated[Principal, Depends(caller("partner", "township", "cdpf", "civil_affairs", "auditor"))]


class Stored(BaseModel):
    document_id: UUID
    sha256: str
    size: int


class Document(BaseModel):
    """`national_state`: of the upload to the national system, with the receipt that it gave."""

    document_id: UUID
    kind: DocumentKind
    source: DocumentSource
    sha256: str
    size: int
    media_type: str
    uploaded_by: str
    uploaded_at: datetime
    replaces: UUID | None
    replaced_by: UUID | None
    national_state: str
    national_receipt: str | None


class Archive(BaseModel):
    """`missing`: kinds that an application like this one needs and that are not there yet. `retain_until`: null while
    the subsidy is applied for or paid."""

    application_id: UUID
    items: list[Document]
    missing: list[DocumentKind]
    complete: bool
    retain_until: date | None


class StoreCheckAsked(BaseModel):
    most: Annotated[int, Field(ge=1, le=100_000)] = 10_000


class StoreCheck(BaseModel):
    """`repaired`: copies that one store had lost and got again from the other, by store. `lost`: in neither."""

    check_id: UUID
    checked: int
    repaired: list[int]
    lost: list[str]


@streamed.post("/documents", status_code=201)
async def add_document(
    application_id: UUID,
    kind: Annotated[DocumentKind, Form()],
    source: Annotated[DocumentSource, Form()],
    file: UploadFile,
    request: Request,
    keys: Keys,
    archivist: Archivist,
    replaces: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Keeps a PDF, JPEG, PNG or HEIC, told by its content. The file's own name is not kept: people write names into it.

    The document exists once its content lies whole in both stores; an upload that is cut off leaves nothing, and is
    sent again. `replaces`: the document that this one corrects.
    """
    state = request.app.state
    database: Database = state.database
    stores: TwoStores = state.stores
    content = file.file
    digest = await handlers.sound_digest(content, largest_bytes=state.settings.archive_document_bytes)
    async with database.transaction() as tx:
        await handlers.require_open(tx, archivist, application_id, kind)
        known = await handlers.is_stored(tx, digest.sha256)
    stored = None if known else await handlers.store(stores, keys, content, digest)

    async with database.transaction(traceparent=request.headers.get("traceparent")) as tx:
        call = _idempotent(request, archivist, f"{application_id} {kind} {source} {replaces} {digest.sha256}")
        if call is not None:
            answered = await call.first_answer(tx, wait_s=state.settings.idempotency_wait_s)
            if answered is not None:
                return answered
        document, needed = await handlers.add_document(
            tx,
            archivist,
            application_id,
            digest,
            stored,
            kind=kind,
            source=source,
            replaces=replaces,
            on=business_today(),
        )
        body = Stored(document_id=document.document_id, sha256=document.sha256, size=document.size)
        response = Response(body.model_dump_json(), 201, media_type="application/json")
        if call is not None:
            call.remember(tx, response)
    if stored is not None and not needed:  # somebody was faster with the same content
        await stores.remove(stored.object_name)
    return response


@api.get("/applications/{application_id}/archive")
async def list_archive(application_id: UUID, tx: Tx, keys: Keys, reader: Anyone) -> Archive:
    """What the archive of an application holds and what it lacks, by its channel, subsidies and declaration."""
    found = await handlers.list_archive(tx, keys, reader, application_id, on=business_today())
    return Archive.model_validate(found)


@streamed.get("/documents/{document_id}", response_class=Response)
async def read_document(
    application_id: UUID, document_id: UUID, request: Request, keys: Keys, reader: Reader
) -> Response:
    """A document's content, as it came; from the second store where the first has lost it."""
    database: Database = request.app.state.database
    stores: TwoStores = request.app.state.stores
    async with database.transaction() as tx:
        found = await handlers.find_document(tx, keys, reader, application_id, document_id)
    for store in stores.both:
        if await asyncio.to_thread(is_sound, store, found):
            headers = {"X-Content-Type-Options": "nosniff", "Content-Length": str(found.size)}
            return StreamingResponse(_parts(store, found), media_type=found.media_type, headers=headers)
    raise Unavailable("no store holds this document any more")


@api.post("/archive-store-checks", status_code=201)
async def check_archive_stores(
    request: Request, tx: Tx, keys: Keys, admin: Admin, asked: StoreCheckAsked | None = None
) -> StoreCheck:
    """Reads documents back from both stores, those first that were not read back for longest, and repairs one store
    from the other."""
    stores: TwoStores = request.app.state.stores
    most = (asked or StoreCheckAsked()).most
    check = await check_stores(tx, stores, keys, asked_by=admin.sub, most=most)
    await record(tx, admin, "check archive stores", str(check.check_id), checked=check.checked, lost=len(check.lost))
    return StoreCheck(check_id=check.check_id, checked=check.checked, repaired=check.repaired, lost=check.lost)


@api.get("/archive-store-checks")
async def list_store_checks(tx: Tx, reader: AuditorOrAdmin, paging: Annotated[Paging, Depends()]) -> Page:
    """The checks of the stores, newest first."""
    query = paging.cut(select(archive_store_checks), archive_store_checks.c.check_id, descending=True)
    return paging.page(rows(await tx.connection.execute(query)), "check_id")


def _parts(store: Store, found: handlers.Found) -> Iterator[bytes]:
    yield from handlers.content_in(store, found)


def _idempotent(request: Request, principal: Principal, content: str) -> IdempotentCall | None:
    key = request.headers.get(HEADER)
    route: Any = request.scope["route"]
    return None if key is None else IdempotentCall.of(principal.sub, route.path_format, key, content.encode())

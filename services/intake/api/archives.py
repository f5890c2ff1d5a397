"""Archives over REST: documents in, lists and content out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Form, Response, UploadFile
from pydantic import BaseModel

from libs.common.auth import Anyone, Principal, caller
from libs.common.web import Tx, router
from services.intake.api.doors import Keys
from services.intake.archives import DocumentKind, DocumentSource
from services.intake.handlers import archives as handlers

api = router(prefix="/v1/applications/{application_id}", tags=["archives"])

Archivist = Annotated[Principal, Depends(caller("partner", "township", "cdpf", "civil_affairs"))]


class Stored(BaseModel):
    document_id: UUID
    sha256: str
    size: int


class Document(BaseModel):
    document_id: UUID
    kind: DocumentKind
    source: DocumentSource
    sha256: str
    size: int
    media_type: str
    uploaded_by: str
    uploaded_at: datetime


class Archive(BaseModel):
    """`missing`: kinds that an application like this one needs and that are not there yet."""

    application_id: UUID
    items: list[Document]
    missing: list[DocumentKind]
    complete: bool


@api.post("/documents", status_code=201)
async def add_document(
    application_id: UUID,
    kind: Annotated[DocumentKind, Form()],
    source: Annotated[DocumentSource, Form()],
    file: UploadFile,
    tx: Tx,
    keys: Keys,
    archivist: Archivist,
) -> Stored:
    """Keeps a PDF, JPEG or PNG, told by its content. The file's own name is not kept: people write names into it."""
    document = await handlers.add_document(
        tx, keys, archivist, application_id, await file.read(), kind=kind, source=source
    )
    return Stored(document_id=document.document_id, sha256=document.sha256, size=document.size)


@api.get("/archive")
async def list_archive(application_id: UUID, tx: Tx, keys: Keys, reader: Anyone) -> Archive:
    return Archive.model_validate(await handlers.list_archive(tx, keys, reader, application_id))


@api.get("/documents/{document_id}", response_class=Response)
async def read_document(application_id: UUID, document_id: UUID, tx: Tx, keys: Keys, reader: Archivist) -> Response:
    """A document's content, as it came."""
    content, media_type = await handlers.read_document(tx, keys, reader, application_id, document_id)
    return Response(content, media_type=media_type, headers={"X-Content-Type-Options": "nosniff"})

"""Evidence files and face checks, in and out."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from libs.common.auth import Official, Principal, authenticate, caller, in_role
from libs.common.database import Database
from libs.common.errors import InvalidInput, Unavailable
from libs.common.web import Tx, router
from services.matching.api.parts import PartsOf
from services.matching.evidence import media_type_of
from services.matching.handlers import evidence as handlers
from services.matching.handlers.evidence import Subject

api = APIRouter()
_streamed = APIRouter(prefix="/v1", tags=["evidence"])
_plain = router(prefix="/v1", tags=["evidence"])

Reader = Annotated[Principal, Depends(caller("township", "civil_affairs", "cdpf", "auditor"))]
SubjectKind = Literal["finding", "proof_of_life"]


class Evidence(BaseModel):
    """One stored file. `digest` is the SM3 of its content."""

    evidence_id: UUID
    person_id: str
    digest: str
    size_bytes: int
    media_type: str
    stored_by: str
    stored_at: datetime


class FaceCheck(BaseModel):
    """A check that did not match proves nothing: verify by another method."""

    face_check_id: UUID
    evidence_id: UUID
    matched: bool


@_streamed.post("/evidence", status_code=201)
async def store_evidence(request: Request, parts: PartsOf, about: SubjectKind, id: UUID) -> Evidence:
    """The body is the file (JPEG, PNG, HEIC, PDF or MP4, at most 20 MB) that proves something about a finding or a
    proof of life."""
    principal = _verifier(request)
    return Evidence.model_validate(await _store(request, parts, Subject(about, id), principal))


@_streamed.post("/face-checks", status_code=201)
async def check_face(request: Request, parts: PartsOf, about: SubjectKind, id: UUID) -> FaceCheck:
    """The body is a picture of the person; it is kept as evidence, and the provider is asked about it."""
    principal, subject = _verifier(request), Subject(about, id)
    stored = await _store(request, parts, subject, principal)
    try:
        async with asyncio.timeout(10):
            answer = await parts.faces.compare(stored["person_id"], await request.body())
    except (OSError, TimeoutError) as error:
        raise Unavailable("人脸识别服务没有应答，请用其他方式核实 (the provider does not answer)") from error
    async with _database(request).transaction() as tx:
        face_check_id = await handlers.note_face_check(tx, subject, stored, answer, principal)
    return FaceCheck(face_check_id=face_check_id, evidence_id=stored["evidence_id"], matched=answer.matched)


@_plain.get("/evidence")
async def list_evidence(about: SubjectKind, id: UUID, tx: Tx, reader: Official) -> dict[str, Any]:
    subject = Subject(about, id)
    await handlers.require_subject(tx, subject, reader)
    items = [Evidence.model_validate(row) for row in await handlers.list_evidence(tx, subject)]
    return {"items": items, "next_cursor": None}


@_plain.get("/evidence/{evidence_id}", response_class=Response)
async def read_evidence(
    evidence_id: UUID,
    tx: Tx,
    reader: Reader,
    parts: PartsOf,
    reason: Annotated[str, Query(min_length=1, max_length=500)],
) -> Response:
    """The file as it was stored. Who looked at it, and why, is logged."""
    row = await handlers.read_evidence(tx, evidence_id, reader, reason=reason)
    content = await asyncio.to_thread(parts.evidence.read, row["digest"], row["subject"])
    headers = {"Content-Disposition": f'attachment; filename="{evidence_id}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=row["media_type"], headers=headers)


def _verifier(request: Request) -> Principal:
    authenticate(request)
    return in_role(request, "township", "civil_affairs", "cdpf")


async def _store(request: Request, parts: PartsOf, subject: Subject, principal: Principal) -> dict[str, Any]:
    database = _database(request)
    async with database.transaction() as tx:  # before the body is read: nobody fills the disk about nothing
        await handlers.require_subject(tx, subject, principal)
    content = await request.body()
    if not content:
        raise InvalidInput("文件是空的 (the body is the file, and it is empty)")
    media_type = media_type_of(content)
    digest = await asyncio.to_thread(parts.evidence.store, content, str(subject))
    async with database.transaction() as tx:
        return await handlers.note_evidence(tx, subject, digest, len(content), media_type, principal)


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


api.include_router(_streamed)
api.include_router(_plain)

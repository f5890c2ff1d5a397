"""Documents of an application: taken in once, never changed, read with a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import BodyTooLarge, InvalidInput, NotFound
from services.intake.application_records import load_application
from services.intake.archives import (
    LARGEST_BYTES,
    DocumentKind,
    DocumentSource,
    decrypted,
    encrypted,
    media_type_of,
    missing_kinds,
    sha256_of,
)
from services.intake.errors import ArchiveClosed
from services.intake.tables import contents, documents
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True)
class Document:
    document_id: UUID
    sha256: str
    size: int


async def add_document(
    tx: Transaction,
    vault: Vault,
    caller: Principal,
    application_id: UUID,
    content: bytes,
    *,
    kind: DocumentKind,
    source: DocumentSource,
) -> Document:
    """Keeps a document; the same one of the same kind again is the same document.

    Refused: InvalidInput (empty), BodyTooLarge, UnknownFileType, ArchiveClosed.
    """
    if not content:
        raise InvalidInput.at("file", "is empty")
    if len(content) > LARGEST_BYTES:
        raise BodyTooLarge(f"a document has at most {LARGEST_BYTES} bytes")
    media_type = media_type_of(content)
    filed = await load_application(tx, caller, application_id, lock=True)
    if filed.application.status in ("rejected", "withdrawn"):
        raise ArchiveClosed(f"its status is {filed.application.status}")

    sha256 = sha256_of(content)
    known = await tx.connection.execute(select(contents.c.sha256).where(contents.c.sha256 == sha256))
    if known.one_or_none() is None:
        body, sealed_key = encrypted(content, vault.sealer, sha256)
        await tx.connection.execute(
            insert(contents)
            .values(sha256=sha256, size=len(content), media_type=media_type, sealed_key=sealed_key, body=body)
            .on_conflict_do_nothing()
        )
    row = {"document_id": new_id(), "application_id": application_id, "kind": kind, "source": source, "sha256": sha256}
    added = await tx.connection.execute(
        insert(documents)
        .values(**row, uploaded_by=caller.sub, uploaded_at=tx.now)
        .on_conflict_do_nothing()
        .returning(documents.c.document_id)
    )
    document_id = added.scalar_one_or_none()
    if document_id is None:
        same = select(documents.c.document_id).where(
            documents.c.application_id == application_id, documents.c.kind == kind, documents.c.sha256 == sha256
        )
        return Document((await tx.connection.execute(same)).scalar_one(), sha256, len(content))
    await record(tx, caller, "add document", str(document_id), person_id=filed.application.person_id, kind=kind)
    return Document(document_id, sha256, len(content))


async def list_archive(tx: Transaction, vault: Vault, caller: Principal, application_id: UUID) -> dict[str, Any]:
    """What the archive holds and what it still lacks."""
    filed = await load_application(tx, caller, application_id)
    found = await tx.connection.execute(
        select(documents, contents.c.size, contents.c.media_type)
        .join(contents, contents.c.sha256 == documents.c.sha256)
        .where(documents.c.application_id == application_id)
        .order_by(documents.c.document_id)
    )
    items = rows(found)
    missing = missing_kinds(filed.declaration(vault), {item["kind"] for item in items})
    return {"application_id": application_id, "items": items, "missing": missing, "complete": not missing}


async def read_document(
    tx: Transaction, vault: Vault, caller: Principal, application_id: UUID, document_id: UUID
) -> tuple[bytes, str]:
    """A document's content and media type; who read it is logged."""
    filed = await load_application(tx, caller, application_id)
    found = await tx.connection.execute(
        select(contents)
        .join(documents, documents.c.sha256 == contents.c.sha256)
        .where(documents.c.document_id == document_id, documents.c.application_id == application_id)
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("no such document")
    await record(tx, caller, "read document", str(document_id), person_id=filed.application.person_id)
    return decrypted(row.body, row.sealed_key, vault.sealer, row.sha256), row.media_type

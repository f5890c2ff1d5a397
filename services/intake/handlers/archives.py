"""Documents of an application: taken in once, never changed, read with a trace."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import BodyTooLarge, InvalidInput, NotFound, Unavailable
from libs.common.period import Period
from services.intake.application_records import Filed, load_application
from services.intake.archive_tables import completion_tasks, contents, documents, national_uploads
from services.intake.archives import (
    STORED_SEGMENT_BYTES,
    Digest,
    DocumentKind,
    DocumentSource,
    MediaType,
    decrypted,
    digest_of,
    encrypted,
    media_type_of,
    missing_kinds,
    new_key,
    opened_key,
)
from services.intake.errors import ArchiveClosed
from services.intake.policy_records import parameters_of
from services.intake.stores import Store, TwoStores
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True)
class Document:
    document_id: UUID
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A content that lies in both stores, or is about to be noted as lying there."""

    sha256: str
    size: int
    media_type: MediaType
    sealed_key: str
    object_name: str


@dataclass(frozen=True, slots=True)
class Found:
    """A document's content, where it lies and what it is."""

    sha256: str
    size: int
    media_type: str
    key: bytes
    object_name: str


async def sound_digest(file: BinaryIO, *, largest_bytes: int) -> Digest:
    """The digest of a file that may be kept. Refused: InvalidInput (empty), BodyTooLarge, UnknownFileType."""
    digest = await asyncio.to_thread(digest_of, file)
    if digest.size == 0:
        raise InvalidInput.at("file", "文件是空的 (is empty)")
    if digest.size > largest_bytes:
        raise BodyTooLarge(f"单份材料不超过 {largest_bytes} 字节 (a document has at most {largest_bytes} bytes)")
    media_type_of(digest.start)
    return digest


async def require_open(tx: Transaction, caller: Principal, application_id: UUID, kind: DocumentKind) -> None:
    """ArchiveClosed for one withdrawn or rejected, unless a spot check asks for this kind. NotFound out of sight."""
    filed = await load_application(tx, caller, application_id)
    await _require_open(tx, filed, kind)


async def is_stored(tx: Transaction, sha256: str) -> bool:
    known = await tx.connection.execute(select(contents.c.sha256).where(contents.c.sha256 == sha256))
    return known.one_or_none() is not None


async def store(stores: TwoStores, vault: Vault, file: BinaryIO, digest: Digest) -> StoredContent:
    """Writes the content, encrypted, into both stores, under a name of its own. Unavailable when one of them cannot."""
    sha256 = digest.sha256
    key, sealed_key = new_key(vault.sealer, sha256)
    object_name = f"{sha256[:2]}/{sha256}-{new_id().hex}"
    try:
        await stores.put(object_name, lambda: encrypted(file, key, sha256))
    except OSError as error:
        raise Unavailable(
            "档案存储暂不可写，材料未保存，请稍后重试 (an archive store cannot be written; nothing was kept)"
        ) from error
    return StoredContent(sha256, digest.size, media_type_of(digest.start), sealed_key, object_name)


async def add_document(
    tx: Transaction,
    caller: Principal,
    application_id: UUID,
    digest: Digest,
    stored: StoredContent | None,
    *,
    kind: DocumentKind,
    source: DocumentSource,
    replaces: UUID | None,
    on: date,
) -> tuple[Document, bool]:
    """Notes a document whose content lies in both stores; whether `stored` was needed, or somebody was faster.

    The same content of the same kind again is the same document. `replaces` names the document that it corrects, which
    stays. What a spot check missed of this kind is done with it.
    """
    filed = await load_application(tx, caller, application_id, lock=True)
    await _require_open(tx, filed, kind)
    needed = stored is not None and await _note_content(tx, stored)
    await _require_correctable(tx, application_id, kind, replaces)
    same = select(documents.c.document_id).where(
        documents.c.application_id == application_id,
        documents.c.kind == kind,
        documents.c.sha256 == digest.sha256,
    )
    known = (await tx.connection.execute(same)).scalar_one_or_none()
    if known is not None:
        return Document(known, digest.sha256, digest.size), needed

    document_id: UUID = new_id()
    await tx.connection.execute(
        insert(documents).values(
            document_id=document_id,
            application_id=application_id,
            kind=kind,
            source=source,
            sha256=digest.sha256,
            uploaded_by=caller.sub,
            uploaded_at=tx.now,
            replaces=replaces,
        )
    )
    await tx.connection.execute(insert(national_uploads).values(document_id=document_id, due_at=tx.now))
    await tx.connection.execute(
        completion_tasks.update()
        .where(
            completion_tasks.c.application_id == application_id,
            completion_tasks.c.kind == kind,
            completion_tasks.c.done_on.is_(None),
        )
        .values(document_id=document_id, done_on=on)
    )
    await record(tx, caller, "add document", str(document_id), person_id=filed.application.person_id, kind=kind)
    return Document(document_id, digest.sha256, digest.size), needed


async def list_archive(
    tx: Transaction, vault: Vault, caller: Principal, application_id: UUID, *, on: date
) -> dict[str, Any]:
    """What the archive holds, what it still lacks, and until when it is kept; who looked is logged."""
    filed = await load_application(tx, caller, application_id)
    found = await tx.connection.execute(
        text(
            "SELECT d.document_id, d.kind, d.source, d.sha256, c.size, c.media_type, d.uploaded_by, d.uploaded_at,"
            " d.replaces, later.document_id AS replaced_by, n.state AS national_state, n.receipt_no AS national_receipt"
            " FROM documents d JOIN contents c USING (sha256) JOIN national_uploads n USING (document_id)"
            " LEFT JOIN documents later ON later.replaces = d.document_id"
            " WHERE d.application_id = :application_id ORDER BY d.document_id"
        ),
        {"application_id": application_id},
    )
    items = rows(found)
    missing = missing_kinds(filed.declaration(vault), {item["kind"] for item in items}, on=filed.received_on)
    await record(tx, caller, "read archive", str(application_id), person_id=filed.application.person_id)
    return {
        "application_id": application_id,
        "items": items,
        "missing": missing,
        "complete": not missing,
        "retain_until": await _retain_until(tx, filed, on),
    }


async def find_document(
    tx: Transaction, vault: Vault, caller: Principal, application_id: UUID, document_id: UUID
) -> Found:
    """Where a document's content lies; who asked for it is logged."""
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
    return found_in(vault, row)


def found_in(vault: Vault, row: Any) -> Found:
    """The content of a row of `contents`."""
    key = opened_key(row.sealed_key, vault.sealer, row.sha256)
    return Found(row.sha256, row.size, row.media_type, key, row.object_name)


def content_in(store: Store, found: Found) -> Any:
    """The content as it lies in this store, part by part."""
    return decrypted(store.read(found.object_name, STORED_SEGMENT_BYTES), found.key, found.sha256)


async def _note_content(tx: Transaction, stored: StoredContent) -> bool:
    added = await tx.connection.execute(
        insert(contents)
        .values(
            sha256=stored.sha256,
            size=stored.size,
            media_type=stored.media_type,
            sealed_key=stored.sealed_key,
            object_name=stored.object_name,
        )
        .on_conflict_do_nothing()
        .returning(contents.c.sha256)
    )
    return added.one_or_none() is not None


async def _require_correctable(
    tx: Transaction, application_id: UUID, kind: DocumentKind, replaces: UUID | None
) -> None:
    if replaces is None:
        return
    found = await tx.connection.execute(
        select(documents.c.document_id).where(
            documents.c.document_id == replaces,
            documents.c.application_id == application_id,
            documents.c.kind == kind,
        )
    )
    if found.one_or_none() is None:
        raise InvalidInput.at("replaces", "本档案中没有此类的这份材料 (no document of this kind in this archive)")
    later = await tx.connection.execute(select(documents.c.document_id).where(documents.c.replaces == replaces))
    if later.one_or_none() is not None:
        raise InvalidInput.at("replaces", "已被更正，请更正最新版本 (was replaced already; correct the latest version)")


async def _require_open(tx: Transaction, filed: Filed, kind: DocumentKind) -> None:
    application = filed.application
    if application.status not in ("rejected", "withdrawn"):
        return
    asked = select(completion_tasks.c.task_id).where(
        completion_tasks.c.application_id == application.application_id,
        completion_tasks.c.kind == kind,
        completion_tasks.c.done_on.is_(None),
    )
    if (await tx.connection.execute(asked.limit(1))).one_or_none() is None:
        raise ArchiveClosed(f"its status is {application.status}")


async def _retain_until(tx: Transaction, filed: Filed, on: date) -> date | None:
    """Counted from the year in which it was rejected or withdrawn, or its last month was paid; None before that."""
    application = filed.application
    if application.status == "approved":
        asked = {"application_id": application.application_id, "this_period": Period.of(on).first_day}
        ended_on = (await tx.connection.execute(_LAST_PERIOD, asked)).scalar_one()
    else:
        ended_on = application.withdrawn_on or (application.decided_on if application.status == "rejected" else None)
    if ended_on is None:
        return None
    years = (await parameters_of(tx, application.area)).days("archive.retention_years", on)
    return date(ended_on.year + years, 12, 31)


_LAST_PERIOD = text(
    """
    SELECT CASE WHEN bool_and(COALESCE(e.version > s.granted_after_version AND NOT e.is_open, false))
                     AND max(e.last_period) < :this_period THEN max(e.last_period) END
    FROM applied_subsidies s LEFT JOIN entitlements e USING (person_id, subsidy)
    WHERE s.application_id = :application_id AND s.state IN ('granted', 'ended')
    """
)
"""The last month paid of what was granted, once all of it is over."""

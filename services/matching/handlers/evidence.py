"""Evidence and face checks, each about a finding or a proof of life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import InvalidInput, NotFound
from services.matching.faces import FaceAnswer
from services.matching.tables import evidence, face_checks, findings, proofs_of_life


@dataclass(frozen=True, slots=True)
class Subject:
    """What a file proves something about."""

    kind: Literal["finding", "proof_of_life"]
    id: UUID

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class FaceDidNotMatch(InvalidInput):
    """The face check did not match, which proves nothing; verify it another way."""

    type = "face-did-not-match"


async def require_subject(tx: Transaction, subject: Subject, principal: Principal) -> Row[Any]:
    """The finding or the proof of life. NotFound outside one's area."""
    if subject.kind == "finding":
        found = await tx.connection.execute(select(findings).where(findings.c.finding_id == subject.id))
    else:
        found = await tx.connection.execute(select(proofs_of_life).where(proofs_of_life.c.proof_id == subject.id))
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"no such {subject.kind.replace('_', ' ')}")
    assigned_here = subject.kind == "finding" and principal.covers(row.assigned_to or row.area)
    if not assigned_here:
        principal.require_sight(row.area, subject.kind.replace("_", " "))
    return row


async def note_evidence(
    tx: Transaction, subject: Subject, digest: str, size_bytes: int, media_type: str, principal: Principal
) -> dict[str, Any]:
    """Records a file that lies sealed in its folder; the same file again is the same evidence."""
    about = await require_subject(tx, subject, principal)
    await tx.connection.execute(
        insert(evidence)
        .values(
            evidence_id=new_id(),
            person_id=about.person_id,
            area=about.area,
            subject=str(subject),
            digest=digest,
            size_bytes=size_bytes,
            media_type=media_type,
            stored_by=principal.sub,
        )
        .on_conflict_do_nothing(constraint="a_file_proves_a_thing_once")
    )
    found = await tx.connection.execute(
        select(evidence).where(evidence.c.subject == str(subject), evidence.c.digest == digest)
    )
    row = dict(found.mappings().one())
    await record(
        tx, principal, "store evidence", str(row["evidence_id"]), person_id=about.person_id, about=str(subject)
    )
    return row


async def read_evidence(tx: Transaction, evidence_id: UUID, principal: Principal, *, reason: str) -> dict[str, Any]:
    """The file's record; that it was looked at is logged. NotFound outside one's area."""
    found = await tx.connection.execute(select(evidence).where(evidence.c.evidence_id == evidence_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such evidence")
    principal.require_sight(row["area"], "evidence")
    await record(tx, principal, "read evidence", str(evidence_id), person_id=row["person_id"], reason=reason)
    return dict(row)


async def list_evidence(tx: Transaction, subject: Subject) -> Sequence[dict[str, Any]]:
    return rows(
        await tx.connection.execute(
            select(evidence).where(evidence.c.subject == str(subject)).order_by(evidence.c.evidence_id)
        )
    )


async def note_face_check(
    tx: Transaction, subject: Subject, stored: dict[str, Any], answer: FaceAnswer, principal: Principal
) -> UUID:
    """Keeps what the provider answered."""
    about = await require_subject(tx, subject, principal)
    face_check_id = new_id()
    await tx.connection.execute(
        insert(face_checks).values(
            face_check_id=face_check_id,
            person_id=about.person_id,
            subject=str(subject),
            evidence_id=stored["evidence_id"],
            matched=answer.matched,
            provider_ref=answer.reference,
            checked_by=principal.sub,
        )
    )
    await record(
        tx, principal, "check face", str(face_check_id), person_id=about.person_id, about=str(subject),
        matched=answer.matched,
    )  # fmt: skip
    return face_check_id


async def require_face_match(tx: Transaction, subject: Subject) -> None:
    """FaceDidNotMatch if the last face check about it failed. None at all: the check was made elsewhere."""
    found = await tx.connection.execute(
        select(face_checks.c.matched)
        .where(face_checks.c.subject == str(subject))
        .order_by(face_checks.c.face_check_id.desc())
        .limit(1)
    )
    if found.scalar_one_or_none() is False:
        raise FaceDidNotMatch

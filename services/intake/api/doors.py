"""What the routes of intake share: the keys, and who may come through which door."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from libs.common.audit import record
from libs.common.auth import Principal, Role, caller
from libs.common.database import Transaction
from libs.common.errors import Forbidden
from services.intake.vault import Vault


def _vault(request: Request) -> Vault:
    vault: Vault = request.app.state.vault
    return vault


_SEES_WHOLE: tuple[Role, ...] = ("township", "cdpf", "civil_affairs", "auditor")

Keys = Annotated[Vault, Depends(_vault)]

Submitter = Annotated[Principal, Depends(caller("partner", "township"))]
Reviewer = Annotated[Principal, Depends(caller("township", "cdpf", "civil_affairs"))]
Proposer = Annotated[Principal, Depends(caller("township", "civil_affairs"))]
Filer = Annotated[Principal, Depends(caller("partner", "township", "civil_affairs"))]


async def unmask(tx: Transaction, reader: Principal, what: str, subject: str, person_id: str, reason: str) -> None:
    """Lets reviewers and auditors read identities whole, and logs why. Forbidden to others."""
    if reader.role not in _SEES_WHOLE:
        raise Forbidden(f"the role {reader.role} reads masked identities only")
    await record(tx, reader, f"read {what} unmasked", subject, person_id=person_id, reason=reason)

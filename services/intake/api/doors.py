"""What the routes of intake share: the keys, and who may come through which door."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from libs.common.auth import Principal, Role, caller
from services.intake.vault import Vault


def _vault(request: Request) -> Vault:
    vault: Vault = request.app.state.vault
    return vault


Keys = Annotated[Vault, Depends(_vault)]

SEES_WHOLE: tuple[Role, ...] = ("township", "cdpf", "civil_affairs", "auditor")
"""Who may read identities unmasked, by giving a reason that is logged."""

Submitter = Annotated[Principal, Depends(caller("partner", "township"))]
Reviewer = Annotated[Principal, Depends(caller("township", "cdpf", "civil_affairs"))]
Proposer = Annotated[Principal, Depends(caller("township", "civil_affairs"))]
Filer = Annotated[Principal, Depends(caller("partner", "township", "civil_affairs"))]

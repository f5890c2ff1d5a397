"""What the routes of intake share: the keys, and who may come through which door."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from libs.common.audit import record
from libs.common.auth import Principal, Role, authenticate, caller, in_role
from libs.common.database import Transaction, is_transient
from libs.common.errors import DomainError, Forbidden, Unauthenticated, Unavailable
from services.intake.rate import Throttle
from services.intake.vault import Vault


async def _vault(request: Request) -> Vault:
    vault: Vault = request.app.state.vault
    return vault


_SEES_WHOLE: tuple[Role, ...] = ("township", "cdpf", "civil_affairs", "auditor")
_SUBMITTERS: tuple[Role, ...] = ("partner", "township")

Keys = Annotated[Vault, Depends(_vault)]


async def _not_too_often(request: Request) -> None:
    """Partners are machines: each has so many requests a minute, in each process. One that is tried again is one."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is not None and principal.role == "partner" and not hasattr(request.state, "is_counted"):
        request.state.is_counted = True
        throttle: Throttle = request.app.state.partner_throttle
        throttle.take(principal.sub)


RATE_LIMITED = [Depends(_not_too_often)]


async def at_the_door(request: Request) -> tuple[Transaction, Vault, Principal]:
    """What filing needs, for the one route that is asked most: a dependency costs as much as sealing two fields, and it
    would have four."""
    await _not_too_often(request)
    return request.state.tx, request.app.state.vault, in_role(request, *_SUBMITTERS)


Submitter = Annotated[Principal, Depends(caller(*_SUBMITTERS))]
Reviewer = Annotated[Principal, Depends(caller("township", "cdpf", "civil_affairs"))]
Proposer = Annotated[Principal, Depends(caller("township", "civil_affairs"))]
Filer = Annotated[Principal, Depends(caller("partner", "township", "civil_affairs"))]


class StreamedRoute(APIRoute):
    """A route whose body or answer is too large for one transaction: its handler opens its own. Who asks is known
    before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if authenticate(request) is None:
                raise Unauthenticated("this needs a bearer token")
            try:
                return await answer(request)
            except Exception as error:
                if isinstance(error, DomainError) or not is_transient(error):
                    raise
                raise Unavailable("the database is not reachable or busy; try again") from error

        return handle


async def unmask(tx: Transaction, reader: Principal, what: str, subject: str, person_id: str, reason: str) -> None:
    """Lets reviewers and auditors read identities whole, and logs why. Forbidden to others."""
    if reader.role not in _SEES_WHOLE:
        raise Forbidden(f"the role {reader.role} reads masked identities only")
    await record(tx, reader, f"read {what} unmasked", subject, person_id=person_id, reason=reason)

"""Who is asking, in which role, for which area.

A bearer token (JWT, EdDSA or RS256) names `sub`, `role`, `area` and, for machines, `sources`. Routes take a `Principal`
by `caller(...)`; every query about persons is narrowed by `within`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import Depends, Request
from sqlalchemy import ColumnElement

from libs.common.areas import NotAnArea, parse_area
from libs.common.errors import Forbidden, NotFound, Unauthenticated
from libs.common.settings import Settings

Role = Literal["partner", "township", "cdpf", "civil_affairs", "finance", "auditor", "admin"]
ROLES: tuple[Role, ...] = ("partner", "township", "cdpf", "civil_affairs", "finance", "auditor", "admin")
ROLE_NAMES: dict[Role, str] = {
    "partner": "合作系统",
    "township": "乡镇（街道）",
    "cdpf": "残联",
    "civil_affairs": "民政",
    "finance": "财政",
    "auditor": "审计",
    "admin": "系统管理",
}

OFFICIALS: tuple[Role, ...] = ("township", "cdpf", "civil_affairs", "finance", "auditor", "admin")
"""Who reads what lies in their area; partners see only what they submitted."""

NATION = ""
"""The area of a token that covers every area is `00`; as a prefix it is empty."""
_EVERYWHERE = ("0", "00", "000000")


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified holder of a token. `area` is a GB/T 2260 prefix; `sources` are the facts a machine may assert."""

    sub: str
    role: Role
    area: str
    sources: tuple[str, ...] = ()

    def covers(self, area: str) -> bool:
        return area.startswith(self.area)

    def require_area(self, area: str) -> None:
        """For an area named in a query or body: Forbidden outside one's own."""
        if not self.covers(area):
            raise Forbidden(f"area {area} is outside your area {self.area}")

    def require_sight(self, area: str, what: str = "object") -> None:
        """For an object that was found: NotFound when it lies outside one's own area."""
        if not self.covers(area):
            raise NotFound(f"no such {what}")

    def within(self, column: ColumnElement[str], area: str | None = None) -> ColumnElement[bool]:
        """The condition that a row's area lies in `area` (which must be one's own or below), or else in one's own."""
        if area is not None:
            self.require_area(area)
        return column.startswith(self.area if area is None else area, autoescape=True)

    def may_assert(self, source: str) -> bool:
        return "*" in self.sources or source in self.sources


_SOUND_FOR_S = 30.0
"""So long a checked token is not checked again, its end apart: a signature costs as much as a small transaction."""

_MOST_TOKENS = 10_000


class TokenVerifier:
    """Checks tokens against the embedded issuer's public key, or an OpenID provider's JWKS."""

    def __init__(self, settings: Settings) -> None:
        self._sound: dict[str, tuple[float, Principal]] = {}
        self._issuer = settings.jwt_issuer
        # Parsed once: parsing costs as much as checking a signature.
        self._public_key = load_pem_public_key(settings.jwt_public_key.encode()) if settings.jwt_public_key else None
        self._jwks = jwt.PyJWKClient(settings.jwks_url) if settings.jwks_url else None

    def verify(self, token: str) -> Principal:
        """The token's holder. Unauthenticated says what is wrong."""
        now = time.time()
        until, principal = self._sound.get(token, (0.0, None))
        if principal is not None and now < until:
            return principal
        claims = self._checked(token)
        principal = principal_of(claims)
        if len(self._sound) >= _MOST_TOKENS:
            self._sound.clear()
        self._sound[token] = (min(now + _SOUND_FOR_S, float(claims["exp"])), principal)
        return principal

    def _checked(self, token: str) -> dict[str, Any]:
        try:
            key = self._jwks.get_signing_key_from_jwt(token).key if self._jwks else self._public_key
            if key is None:
                raise Unauthenticated("this service has no key to check tokens with")
            claims: dict[str, Any] = jwt.decode(
                token,
                cast(Any, key),
                algorithms=["EdDSA", "RS256", "ES256"],
                issuer=self._issuer,
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not valid: {error}") from error
        return claims


def principal_of(claims: dict[str, Any]) -> Principal:
    role, area = claims.get("role"), claims.get("area")
    if role not in ROLES:
        raise Unauthenticated("the token names no role of this system")
    if not isinstance(area, str):
        raise Unauthenticated("the token names no area")
    try:
        within = NATION if area in _EVERYWHERE else parse_area(area)
    except NotAnArea as error:
        raise Unauthenticated("the token names no area") from error
    sources = claims.get("sources", ())
    return Principal(
        sub=str(claims["sub"]),
        role=cast(Role, role),
        area=within,
        sources=tuple(str(source) for source in sources),
    )


def authenticate(request: Request) -> Principal | None:
    """The token's holder, None without a token; kept on the request."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("the Authorization header is not a bearer token")
    verifier: TokenVerifier = request.app.state.verifier
    principal = verifier.verify(token.strip())
    request.state.principal = principal
    return principal


def in_role(request: Request, *roles: Role) -> Principal:
    """Who asks; Unauthenticated without a token, Forbidden unless in one of `roles` (any role when none is named)."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        raise Unauthenticated("this needs a bearer token")
    if roles and principal.role not in roles:
        raise Forbidden(f"the role {principal.role} may not do that; {', '.join(roles)} may")
    return principal


def caller(*roles: Role) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """The dependency of a route: `in_role`. Asynchronous though it waits for nothing: FastAPI runs other dependencies
    in a thread, which costs more than all that they do."""

    async def require(request: Request) -> Principal:
        return in_role(request, *roles)

    return require


Anyone = Annotated[Principal, Depends(caller())]
Official = Annotated[Principal, Depends(caller(*OFFICIALS))]
Township = Annotated[Principal, Depends(caller("township"))]
Federation = Annotated[Principal, Depends(caller("cdpf"))]
CivilAffairs = Annotated[Principal, Depends(caller("civil_affairs"))]
Finance = Annotated[Principal, Depends(caller("finance"))]
Admin = Annotated[Principal, Depends(caller("admin"))]
AuditorOrAdmin = Annotated[Principal, Depends(caller("auditor", "admin"))]

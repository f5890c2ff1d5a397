"""The embedded issuer of bearer tokens: an Ed25519 key pair of one home folder, for laptops and tests.

Elsewhere an OpenID provider issues them, and services read its JWKS.
"""

from __future__ import annotations

from datetime import timedelta

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.auth import Role
from libs.common.clock import utc_now

ISSUER = "liangbu-embedded"


def new_key_pair() -> tuple[str, str]:
    """A private and its public key, both PEM."""
    private = Ed25519PrivateKey.generate()
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


def issue_token(
    private_key: str,
    *,
    role: Role,
    area: str,
    subject: str | None = None,
    sources: tuple[str, ...] = ("*",),
    hours: int = 12,
) -> str:
    """A token for `role` in `area`, for `hours`; the default subject is `ROLE-AREA`. Partners may assert `sources`."""
    now = utc_now()
    claims = {
        "iss": ISSUER,
        "sub": subject or f"{role}-{area}",
        "role": role,
        "area": area,
        "iat": now,
        "exp": now + timedelta(hours=hours),
    }
    if role == "partner":
        claims["sources"] = list(sources)
    return jwt.encode(claims, private_key, algorithm="EdDSA")

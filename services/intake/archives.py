"""The archive of an application (档案, notice 5.1): which documents belong in it, and how their content is kept.

Content is addressed by its SHA-256 and encrypted with a key of its own, which alone is sealed under the service's key:
rotating that one seals small keys anew and leaves the documents as they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from libs.common.privacy import Sealer
from services.intake.declarations import Declaration
from services.intake.errors import UnknownFileType

DocumentKind = Literal[
    "id_card", "certificate", "commitment", "choice", "account", "guardianship", "incapacity", "photo", "other"
]
DocumentSource = Literal["online", "scan", "photo"]
MediaType = Literal["application/pdf", "image/jpeg", "image/png"]

LARGEST_BYTES = 8 << 20
"""Of one document; a scanned page or a phone's photo is well below."""

_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 16
_STARTS: dict[bytes, MediaType] = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}


def media_type_of(content: bytes) -> MediaType:
    """What the content is by its first bytes, whatever its sender calls it. UnknownFileType."""
    for start, media_type in _STARTS.items():
        if content.startswith(start):
            return media_type
    raise UnknownFileType


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def encrypted(content: bytes, sealer: Sealer, sha256: str) -> tuple[bytes, str]:
    """The content under a new key (SM4-GCM), and that key, sealed."""
    key, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES)
    encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(sha256.encode())
    body = encryptor.update(content) + encryptor.finalize()
    return nonce + body + encryptor.tag, sealer.seal(key.hex(), "contents", sha256, "key")


def decrypted(body: bytes, sealed_key: str, sealer: Sealer, sha256: str) -> bytes:
    """The content again; cryptography's InvalidTag when it was damaged."""
    key = bytes.fromhex(sealer.open(sealed_key, "contents", sha256, "key"))
    nonce, tag = body[:_NONCE_BYTES], body[-_TAG_BYTES:]
    decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(sha256.encode())
    return decryptor.update(body[_NONCE_BYTES:-_TAG_BYTES]) + decryptor.finalize()


def missing_kinds(declaration: Declaration, present: Collection[str]) -> list[DocumentKind]:
    """What the archive still lacks: identity, certificate and commitment always, the rest as declared."""
    needed: list[DocumentKind] = ["id_card", "certificate", "commitment"]
    if declaration.choices:
        needed.append("choice")
    if declaration.account is not None and declaration.account.status != "none":
        needed.append("account")
    if declaration.guardian is not None:
        needed.append("guardianship")
    if declaration.incapacity is not None:
        needed.append("incapacity")
    return [kind for kind in needed if kind not in present]

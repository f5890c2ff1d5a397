"""The archive of an application (档案, notice 5.1): which documents belong in it, and how their content is kept.

Content is addressed by its SHA-256 and encrypted with a key of its own, which alone is sealed under the service's key:
rotating that one seals small keys anew and leaves the documents as they are. It is encrypted in segments, each bound to
its document, its number and whether it is the last, so that it can be written and read as a stream.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from libs.common.privacy import Sealer
from libs.common.vocabulary import Channel, Subsidy
from services.intake.declarations import Declaration
from services.intake.errors import UnknownFileType

DocumentKind = Literal[
    "id_card", "certificate", "commitment", "choice", "account", "guardianship", "incapacity", "photo", "other"
]
DocumentSource = Literal["online", "scan", "photo"]
MediaType = Literal["application/pdf", "image/jpeg", "image/png", "image/heic"]

_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 16
_SEGMENT_BYTES = 1 << 20
STORED_SEGMENT_BYTES = _NONCE_BYTES + _SEGMENT_BYTES + _TAG_BYTES
"""Of an encrypted segment, but for the last, which may be shorter."""

_STARTS: dict[bytes, MediaType] = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_NATION = "00"


class DamagedContent(ValueError):
    """What is stored is not what was stored there."""


def media_type_of(start: bytes) -> MediaType:
    """What the content is by its first bytes, whatever its sender calls it. UnknownFileType."""
    for known, media_type in _STARTS.items():
        if start.startswith(known):
            return media_type
    if start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS:
        return "image/heic"
    raise UnknownFileType


@dataclass(frozen=True, slots=True)
class Digest:
    """What is to be known of a content before it is kept."""

    sha256: str
    size: int
    start: bytes


def digest_of(file: BinaryIO) -> Digest:
    """Reads the file from its beginning to its end."""
    file.seek(0)
    digest, size, start = hashlib.sha256(), 0, b""
    while part := file.read(_SEGMENT_BYTES):
        start = start or part[:16]
        digest.update(part)
        size += len(part)
    return Digest(digest.hexdigest(), size, start)


def new_key(sealer: Sealer, sha256: str) -> tuple[bytes, str]:
    """A key for one content, and the same sealed."""
    key = os.urandom(_KEY_BYTES)
    return key, sealer.seal(key.hex(), "contents", sha256, "key")


def opened_key(sealed_key: str, sealer: Sealer, sha256: str) -> bytes:
    return bytes.fromhex(sealer.open(sealed_key, "contents", sha256, "key"))


def encrypted(file: BinaryIO, key: bytes, sha256: str) -> Iterator[bytes]:
    """The file's content as encrypted segments (SM4-GCM)."""
    file.seek(0)
    number, part = 0, file.read(_SEGMENT_BYTES)
    while part:
        following = file.read(_SEGMENT_BYTES)
        nonce = os.urandom(_NONCE_BYTES)
        encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(_place(sha256, number, last=not following))
        body = encryptor.update(part) + encryptor.finalize()
        yield nonce + body + encryptor.tag
        number, part = number + 1, following


def decrypted(segments: Iterable[bytes], key: bytes, sha256: str) -> Iterator[bytes]:
    """The content again, segment by segment; cryptography's InvalidTag at the first that was damaged, moved or cut."""
    waiting: bytes | None = None
    number = 0
    for segment in segments:
        if waiting is not None:
            yield _decrypted(waiting, key, _place(sha256, number, last=False))
            number += 1
        waiting = segment
    if waiting is None:
        raise DamagedContent("nothing is stored there")
    yield _decrypted(waiting, key, _place(sha256, number, last=True))


def _decrypted(segment: bytes, key: bytes, place: bytes) -> bytes:
    if len(segment) <= _NONCE_BYTES + _TAG_BYTES:
        raise DamagedContent("a segment is cut")
    nonce, tag = segment[:_NONCE_BYTES], segment[-_TAG_BYTES:]
    decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(place)
    return decryptor.update(segment[_NONCE_BYTES:-_TAG_BYTES]) + decryptor.finalize()


def _place(sha256: str, number: int, *, last: bool) -> bytes:
    return f"{sha256}:{number}:{'last' if last else 'more'}".encode()


def missing_kinds(declaration: Declaration, present: Collection[str], *, on: date) -> list[DocumentKind]:
    """What the archive still lacks: what its channel and subsidies need as of `on`, and the papers of what it says."""
    area = declaration.applicant.hukou_area
    needed = [kind for kind in _kinds() if _is_needed(kind, area, on, declaration.channel, declaration.subsidies)]
    if declaration.choices:
        needed.append("choice")
    if declaration.account is not None and declaration.account.status != "none":
        needed.append("account")
    if declaration.guardian is not None:
        needed.append("guardianship")
    if declaration.incapacity is not None:
        needed.append("incapacity")
    return [kind for kind in needed if kind not in present]


@dataclass(frozen=True, slots=True)
class _Need:
    kind: DocumentKind
    area: str
    since: date
    channel: str
    subsidy: str
    needed: bool


def _is_needed(kind: DocumentKind, area: str, on: date, channel: Channel, subsidies: Collection[Subsidy]) -> bool:
    """Whether one of the subsidies needs it; the nearest area decides, then the one that names channel or subsidy."""
    for subsidy in subsidies:
        applying = [
            need
            for need in _needs()
            if need.kind == kind
            and need.since <= on
            and area.startswith(need.area)
            and need.channel in ("*", channel)
            and need.subsidy in ("*", subsidy)
        ]
        if applying and max(applying, key=_precedence).needed:
            return True
    return False


def _precedence(need: _Need) -> tuple[int, bool, bool, date]:
    return len(need.area), need.channel != "*", need.subsidy != "*", need.since


def _kinds() -> list[DocumentKind]:
    return list(dict.fromkeys(need.kind for need in _needs()))


@functools.cache
def _needs() -> tuple[_Need, ...]:
    with (Path(__file__).parent / "archive_kinds.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            _Need(
                kind=row["kind"],  # type: ignore[arg-type]  # the project's own file, proved by its test
                area="" if row["area"] == _NATION else row["area"],
                since=date.fromisoformat(row["since"]),
                channel=row["channel"],
                subsidy=row["subsidy"],
                needed=row["needed"] == "yes",
            )
            for row in csv.DictReader(file)
        )

"""Files of evidence (佐证材料): sealed on disk, named by their digest, and read back whole or not at all."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from libs.common.errors import DomainError, InvalidInput
from libs.common.privacy import Sealer, sm3_hex

LARGEST_BYTES = 20 << 20

_BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"%PDF-", "application/pdf"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftyp", "video/mp4"),
)


class EvidenceDamaged(DomainError):
    """The stored file is no longer what was stored."""

    status = 500
    type = "evidence-damaged"


def media_type_of(content: bytes) -> str:
    """By how the content begins, whatever its sender calls it. InvalidInput for what is no evidence."""
    for place, beginning, media_type in _BEGINNINGS:
        if content[place : place + len(beginning)] == beginning:
            return media_type
    raise InvalidInput(
        "佐证材料只收 JPEG、PNG、HEIC、PDF 和 MP4 文件 (only JPEG, PNG, HEIC, PDF and MP4 files are taken as evidence)"
    )


class EvidenceFolder:
    """Where evidence lies. A file is bound to what it proves (`subject`): moved elsewhere it cannot be opened."""

    def __init__(self, root: Path, sealer: Sealer) -> None:
        self._root = root / "evidence"
        self._sealer = sealer

    def store(self, content: bytes, subject: str) -> str:
        """Writes the file, whole or not at all; its digest (SM3)."""
        digest = sm3_hex(content)
        path = self._path(digest, subject)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        sealed = self._sealer.seal(base64.b64encode(content).decode(), "evidence", subject, digest)
        with unfinished.open("w", encoding="ascii") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        return digest

    def read(self, digest: str, subject: str) -> bytes:
        """EvidenceDamaged if it is gone or is not what was stored."""
        try:
            sealed = self._path(digest, subject).read_text("ascii")
            content = base64.b64decode(self._sealer.open(sealed, "evidence", subject, digest))
        except (OSError, ValueError) as error:
            raise EvidenceDamaged(f"evidence {digest[:12]} cannot be read") from error
        if sm3_hex(content) != digest:
            raise EvidenceDamaged(f"evidence {digest[:12]} is not what was stored")
        return content

    def _path(self, digest: str, subject: str) -> Path:
        return self._root / digest[:2] / f"{digest}-{sm3_hex(subject.encode())[:16]}.sealed"

from __future__ import annotations

import io
from datetime import date

import pytest
from cryptography.exceptions import InvalidTag

from libs.common.privacy import Sealer, UnsealingFailed
from services.intake.archives import (
    STORED_SEGMENT_BYTES,
    DamagedContent,
    DocumentKind,
    decrypted,
    digest_of,
    encrypted,
    media_type_of,
    missing_kinds,
    new_key,
    opened_key,
)
from services.intake.declarations import Declaration
from services.intake.errors import TooManyRequests, UnknownFileType
from services.intake.rate import RateLimit
from tests.unit.intake.samples import declaration

OLD, NEW = "old:" + "11" * 16, "new:" + "22" * 16


def test_content_is_known_by_its_first_bytes() -> None:
    assert media_type_of(b"%PDF-1.4 ...") == "application/pdf"
    assert media_type_of(b"\xff\xd8\xff\xe0 ...") == "image/jpeg"
    assert media_type_of(b"\x89PNG\r\n\x1a\n ...") == "image/png"
    assert media_type_of(b"\x00\x00\x00\x18ftypheic....") == "image/heic"
    for other in (b"", b"<html>", b"PK\x03\x04", b"%PD", b"\x00\x00\x00\x18ftypisom"):
        with pytest.raises(UnknownFileType):
            media_type_of(other)


def _stored(content: bytes) -> tuple[list[bytes], bytes, str]:
    """The content as it would lie in a store, with its key and digest."""
    file = io.BytesIO(content)
    sha256 = digest_of(file).sha256
    key, sealed = new_key(Sealer.parse(OLD), sha256)
    assert opened_key(sealed, Sealer.parse(f"{NEW},{OLD}"), sha256) == key
    with pytest.raises(UnsealingFailed):
        opened_key(sealed, Sealer.parse(OLD), "0" * 64)
    return list(encrypted(file, key, sha256)), key, sha256


@pytest.mark.parametrize("size", [1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_content_reads_back_equal_and_only_in_its_place(size: int) -> None:
    content = b"%PDF-" + bytes(size - 5) if size > 5 else b"x" * size
    segments, key, sha256 = _stored(content)
    assert b"".join(decrypted(segments, key, sha256)) == content
    assert all(len(segment) == STORED_SEGMENT_BYTES for segment in segments[:-1])
    with pytest.raises(InvalidTag):
        b"".join(decrypted(segments, key, "0" * 64))


def test_content_that_was_damaged_moved_or_cut_is_noticed() -> None:
    segments, key, sha256 = _stored(bytes(range(256)) * 10_000)
    assert bytes(range(64)) not in segments[0]
    flipped = segments[0][:-1] + bytes([segments[0][-1] ^ 1])
    for wrong in ([flipped, *segments[1:]], segments[:-1], [segments[1], segments[0], segments[2]]):
        with pytest.raises(InvalidTag):
            b"".join(decrypted(wrong, key, sha256))
    for cut in ([], [b"x"]):
        with pytest.raises(DamagedContent):
            b"".join(decrypted(cut, key, sha256))


@pytest.mark.parametrize(
    ("channel", "missing"),
    [
        ("counter", ["id_card", "certificate", "commitment", "account"]),
        ("online", ["id_card", "certificate", "commitment", "account"]),
        ("cross_province", ["id_card", "certificate", "commitment", "account"]),
        ("one_thing", ["commitment", "account"]),
    ],
)
def test_what_departments_share_in_one_thing_needs_no_paper(channel: str, missing: list[DocumentKind]) -> None:
    declared = Declaration.model_validate(declaration(channel=channel))
    assert missing_kinds(declared, set(), on=date(2026, 3, 2)) == missing
    assert missing_kinds(declared, set(missing), on=date(2026, 3, 2)) == []


def test_so_often_and_no_oftener_until_time_has_passed() -> None:
    now = [0.0]
    limit = RateLimit(times=2, window_s=60.0, clock=lambda: now[0])
    limit.take("a")
    now[0] = 30.0
    limit.take("a")
    with pytest.raises(TooManyRequests) as refused:
        limit.take("a")
    assert refused.value.headers == {"Retry-After": "31"}
    limit.take("b")
    now[0] = 60.0
    limit.take("a")

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from libs.common.privacy import Sealer, UnsealingFailed
from services.intake.archives import decrypted, encrypted, media_type_of, sha256_of
from services.intake.errors import TooManyRequests, UnknownFileType
from services.intake.rate import RateLimit

OLD, NEW = "old:" + "11" * 16, "new:" + "22" * 16


def test_content_is_known_by_its_first_bytes() -> None:
    assert media_type_of(b"%PDF-1.4 ...") == "application/pdf"
    assert media_type_of(b"\xff\xd8\xff\xe0 ...") == "image/jpeg"
    assert media_type_of(b"\x89PNG\r\n\x1a\n ...") == "image/png"
    for other in (b"", b"<html>", b"PK\x03\x04", b"%PD"):
        with pytest.raises(UnknownFileType):
            media_type_of(other)


def test_content_reads_back_equal_and_only_in_its_place() -> None:
    content = bytes(range(256)) * 100
    sha256 = sha256_of(content)
    body, sealed_key = encrypted(content, Sealer.parse(OLD), sha256)
    assert content[:64] not in body
    assert decrypted(body, sealed_key, Sealer.parse(f"{NEW},{OLD}"), sha256) == content
    with pytest.raises(InvalidTag):
        decrypted(body[:-1] + bytes([body[-1] ^ 1]), sealed_key, Sealer.parse(OLD), sha256)
    with pytest.raises(UnsealingFailed):
        decrypted(body, sealed_key, Sealer.parse(OLD), sha256_of(b"other"))


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

"""person_ids and tokens by the hundred thousand: what `PersonKeys` gives one by one, at half its price.

An HMAC hashes its key twice before it sees a text. Here that is done once, and each text goes on from a copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from cryptography.hazmat.primitives import hashes, hmac

from libs.common.privacy import PersonKeys

_BLOCK_BYTES = 64
_DIGITS = 32

Mac = Callable[[bytes], str]
"""The HMAC-SM3 of a text under one key, in hex."""


class Pseudonyms:
    """Bulk `person_id` and `token` under the current key."""

    def __init__(self, keys: PersonKeys) -> None:
        self._version, key = keys.current
        self._mac = mac_under(key)

    def person_ids(self, numbers: Iterable[str]) -> list[str]:
        """Of canonical 18-character resident IDs."""
        mac, head = self._mac, f"p{self._version}-"
        return [head + mac(b"person\0" + number.encode())[:_DIGITS] for number in numbers]

    def token(self, purpose: str, text: str) -> str:
        return self._mac(f"{purpose}\0{text}".encode())[:_DIGITS]


def mac_under(key: bytes) -> Mac:
    """By Python's own OpenSSL where that has SM3; otherwise through `cryptography`, a third slower."""
    if "sm3" in hashlib.algorithms_available:
        return mac_by_hashlib(key)
    return mac_by_cryptography(key)


def mac_by_hashlib(key: bytes) -> Mac:
    padded = (key if len(key) <= _BLOCK_BYTES else hashlib.new("sm3", key).digest()).ljust(_BLOCK_BYTES, b"\0")
    inner = hashlib.new("sm3", bytes(byte ^ 0x36 for byte in padded)).copy
    outer = hashlib.new("sm3", bytes(byte ^ 0x5C for byte in padded)).copy

    def mac(text: bytes) -> str:
        first = inner()
        first.update(text)
        second = outer()
        second.update(first.digest())
        return second.hexdigest()

    return mac


def mac_by_cryptography(key: bytes) -> Mac:
    keyed = hmac.HMAC(key, hashes.SM3())

    def mac(text: bytes) -> str:
        copy = keyed.copy()
        copy.update(text)
        return copy.finalize().hex()

    return mac

"""Identities, sealing and tokens: what keeps plaintext identity out of events, logs, topics and URLs.

* `PersonKeys` turn a resident ID into a `person_id`: a keyed HMAC-SM3 with the key's version in it. Only intake and
  matching hold that key.
* `Sealer` encrypts a field with SM4-GCM under a key with an id, bound to its place by associated data, so that a sealed
  value cannot be moved to another row, field or event. Keys rotate: the first seals, all open.

Sources: GB/T 32905 (SM3), GB/T 32907 (SM4).
"""

from __future__ import annotations

import base64
import functools
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_NONCE_BYTES = 12
_TAG_BYTES = 16


class UnsealingFailed(ValueError):
    """A sealed value was damaged, moved from its place, or sealed under a key that is not here."""


class KeyMissing(RuntimeError):
    """This process was not given the key that it needs."""


def sm3_hex(data: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize().hex()


def _parse_keys(text: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in filter(None, text.split(",")):
        key_id, _, value = part.strip().partition(":")
        keys[key_id] = bytes.fromhex(value)
    return keys


@dataclass(frozen=True, slots=True)
class PersonKeys:
    """The HMAC keys behind `person_id`, current first."""

    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> PersonKeys:
        """From `version:hex,version:hex`, as in LIANGBU_PERSON_KEYS."""
        return cls(_parse_keys(text))

    @property
    def current(self) -> tuple[str, bytes]:
        """The version and the key that names persons. KeyMissing where there is none."""
        version = self._current()
        return version, self.keys[version]

    def person_id(self, id_number: str) -> str:
        """`p<version>-<32 hex digits>` of a canonical 18-character resident ID."""
        version = self._current()
        return f"p{version}-{self._mac(version, 'person', id_number)[:32]}"

    def token(self, purpose: str, text: str) -> str:
        """A keyed digest by which equal texts are seen to be equal, e.g. one account used by several persons."""
        return self._mac(self._current(), purpose, text)[:32]

    def _current(self) -> str:
        if not self.keys:
            raise KeyMissing("LIANGBU_PERSON_KEYS is empty: this service cannot name persons")
        return next(iter(self.keys))

    def _mac(self, version: str, purpose: str, text: str) -> str:
        mac = _hmac_sm3(self.keys[version]).copy()
        mac.update(f"{purpose}\0{text}".encode())
        return mac.finalize().hex()


@dataclass(frozen=True, slots=True)
class Sealer:
    """SM4-GCM under 16-byte keys, current first. A sealed text reads `sm4.<key id>.<base64url of nonce, text, tag>`."""

    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Sealer:
        """From `id:hex,id:hex`, as in LIANGBU_SEALING_KEYS."""
        return cls(_parse_keys(text))

    def seal(self, text: str, *place: object) -> str:
        """`place` binds the value: (event id, field) in an event, (table, row id, column) in a database."""
        if not self.keys:
            raise KeyMissing("LIANGBU_SEALING_KEYS is empty")
        key_id, key = next(iter(self.keys.items()))
        nonce = os.urandom(_NONCE_BYTES)
        encryptor = Cipher(_sm4(key), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(_bind(place))
        body = encryptor.update(text.encode()) + encryptor.finalize()
        packed = base64.urlsafe_b64encode(nonce + body + encryptor.tag).rstrip(b"=").decode()
        return f"sm4.{key_id}.{packed}"

    def open(self, sealed: str, *place: object) -> str:
        """The text again. UnsealingFailed if it was not sealed for this place, or is damaged."""
        _, key_id, packed = sealed.split(".", 2)
        if key_id not in self.keys:
            raise UnsealingFailed(f"no sealing key {key_id}")
        raw = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        nonce, body, tag = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:-_TAG_BYTES], raw[-_TAG_BYTES:]
        decryptor = Cipher(_sm4(self.keys[key_id]), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(_bind(place))
        try:
            return (decryptor.update(body) + decryptor.finalize()).decode()
        except InvalidTag as error:
            raise UnsealingFailed("the sealed value does not belong here or is damaged") from error


@functools.lru_cache(maxsize=8)
def _hmac_sm3(key: bytes) -> hmac.HMAC:
    """Taking in the key costs more than the digest of a number: once is enough."""
    return hmac.HMAC(key, hashes.SM3())


@functools.lru_cache(maxsize=8)
def _sm4(key: bytes) -> algorithms.SM4:
    """Checking the key costs as much as unsealing a name: once is enough."""
    return algorithms.SM4(key)


def _bind(place: tuple[object, ...]) -> bytes:
    return "\0".join(map(str, place)).encode()

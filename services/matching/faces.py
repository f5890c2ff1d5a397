"""Face recognition (人脸识别) through a provider: one of the ways to see that somebody is alive (notice 3).

A face that does not match proves nothing: the picture may be bad. It asks for another method, and is never a death.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from libs.common.privacy import sm3_hex


@dataclass(frozen=True, slots=True)
class FaceAnswer:
    """What the provider says; `reference` is its own number for this check."""

    matched: bool
    reference: str


class FaceProvider(Protocol):
    """Compares a picture with the one on the person's identity card. May raise OSError when it is not reachable."""

    async def compare(self, person_id: str, picture: bytes) -> FaceAnswer: ...


class NoFaces:
    """Where no provider is connected yet nobody is seen by their face."""

    async def compare(self, person_id: str, picture: bytes) -> FaceAnswer:
        raise ConnectionRefusedError("no provider is connected")


class SimulatedFaces:
    """A provider for tests and demos: every face matches, but for pictures that end in `NO MATCH`."""

    async def compare(self, person_id: str, picture: bytes) -> FaceAnswer:
        reference = sm3_hex(person_id.encode() + picture)[:16]
        return FaceAnswer(not picture.endswith(b"NO MATCH"), f"simulated-{reference}")

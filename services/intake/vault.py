"""The keys that intake holds: who a person is, and what is written sealed."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.privacy import PersonKeys, Sealer
from libs.common.settings import Settings


@dataclass(frozen=True, slots=True, repr=False)
class Vault:
    """`persons` name persons and accounts by keyed digests; `sealer` encrypts fields in tables and events."""

    persons: PersonKeys
    sealer: Sealer

    @classmethod
    def of(cls, settings: Settings) -> Vault:
        return cls(PersonKeys.parse(settings.person_keys), Sealer.parse(settings.sealing_keys))

    def seal(self, text: str | None, *place: object) -> str | None:
        return None if text is None else self.sealer.seal(text, *place)

    def open(self, sealed: str | None, *place: object) -> str | None:
        return None if sealed is None else self.sealer.open(sealed, *place)

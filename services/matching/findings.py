"""Findings (比对发现) rest on leads: what a source says of a person.

A claim is known for good: the same source saying the same again opens nothing, whether the finding is open, was
confirmed or was dismissed. A dismissed lead comes back only on another claim, which is new evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from services.matching.kinds import about, hold_from


@dataclass(frozen=True, slots=True)
class Lead:
    """What a source says of a person. `detail` are the further fields of the fact that it would be."""

    person_id: str
    kind: str
    alleged_on: date
    area: str
    source: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    feed_id: UUID | None = None
    feed_row: int | None = None
    reported_by: str | None = None

    @property
    def about(self) -> str:
        return about(self.kind, self.detail)

    @property
    def hold_from(self) -> str:
        return str(hold_from(self.kind, self.alleged_on, self.detail.get("kind")))

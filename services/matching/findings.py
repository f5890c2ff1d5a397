"""Findings (比对发现) rest on leads: what a source says of a person.

A claim is known for good: the same source saying the same again opens nothing, whether the finding is open, was
confirmed or was dismissed. A dismissed lead comes back only on another claim, which is new evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def leads_of(rows: Sequence[Mapping[str, Any]]) -> list[Lead]:
    """The leads that an engine found, as the rows of its table."""
    feed_ids = {told: UUID(told) for told in {row["feed_id"] for row in rows}}
    return [
        Lead(
            person_id=row["person_id"],
            kind=row["kind"],
            alleged_on=row["alleged_on"],
            area=row["area"],
            source=row["source"],
            detail=_detail(row),
            feed_id=feed_ids[row["feed_id"]],
            feed_row=row["feed_row"],
        )
        for row in rows
    ]


def _detail(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the fact would have: which `word` means what depends on its kind."""
    kind, word, until = row["kind"], row["word"], row["until_on"]
    detail: dict[str, Any] = {} if until is None else {"until": until.isoformat()}
    if word is None:
        return detail
    if kind in ("person.imprisoned", "benefit.started"):
        return {**detail, "kind": word}
    if kind == "low_income.exited":
        return {**detail, "category": word}
    if kind == "certificate.moved_out":
        return {**detail, "in_transit": True}
    if kind == "person.moved":
        return {**detail, "to_area": word, "from_area": row["area"]}
    return {**detail, "reason": word}

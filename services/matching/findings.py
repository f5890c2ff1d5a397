"""Findings (比对发现): leads about persons, sorted out before they are opened.

A claim is known for good: the same source saying the same again opens nothing, whether the finding is open, was
confirmed or was dismissed. A dismissed lead comes back only on another claim, which is new evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from services.matching.kinds import DEATH, NEVER, hold_from

OF_PERSON_AND_KIND = tuple[str, str]


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
    def claim(self) -> tuple[str, str, str, date]:
        return self.person_id, self.kind, self.source, self.alleged_on

    @property
    def hold_from(self) -> str:
        return str(hold_from(self.kind, self.alleged_on, self.detail.get("kind")))

    @property
    def holds(self) -> bool:
        return self.hold_from != str(NEVER)


@dataclass(frozen=True, slots=True)
class OpenFinding:
    finding_id: UUID
    alleged_on: date


@dataclass(slots=True)
class Sorted:
    """What leads come to: findings to open, each with all that was said, and what to add to those that are open."""

    to_open: list[list[Lead]] = field(default_factory=list)
    """Each list is one finding's claims, the earliest first: that is the day alleged."""
    to_add: dict[UUID, list[Lead]] = field(default_factory=dict)


def sort_out(
    leads: Iterable[Lead],
    *,
    claims: set[tuple[str, str, str, date]],
    facts: Mapping[OF_PERSON_AND_KIND, set[date]],
    open_findings: Mapping[OF_PERSON_AND_KIND, OpenFinding],
) -> Sorted:
    """Drops what is known as a claim or as a fact (a death is known whatever its day), gathers the rest by finding."""
    fresh: dict[OF_PERSON_AND_KIND, dict[tuple[str, str, str, date], Lead]] = {}
    for lead in leads:
        days_known = facts.get((lead.person_id, lead.kind), set())
        if lead.claim in claims or lead.alleged_on in days_known or (lead.kind == DEATH and days_known):
            continue
        fresh.setdefault((lead.person_id, lead.kind), {}).setdefault(lead.claim, lead)
    outcome = Sorted()
    for subject, by_claim in fresh.items():
        said = sorted(by_claim.values(), key=lambda lead: (lead.alleged_on, lead.source))
        if subject in open_findings:
            outcome.to_add[open_findings[subject].finding_id] = said
        else:
            outcome.to_open.append(said)
    return outcome

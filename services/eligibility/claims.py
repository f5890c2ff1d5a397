"""What an application says of a person, as assertions: declared, confirmed by a stage, or approved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

from libs.common.events.intake import ApplicationFacts
from libs.common.vocabulary import Stage
from services.eligibility.facts import BEGINNING
from services.eligibility.folding import Assertion
from services.eligibility.sources import rank_of

_UNCONFIRMED = datetime.min.replace(tzinfo=UTC)
"""What is only declared counts as known before anything else: whoever knows better about the same day prevails."""


def assertions_of(
    application_id: UUID, applied_on: date, facts: ApplicationFacts, known_at: datetime, *, source: str, approved: bool
) -> list[Assertion]:
    """The application's facts; the same application gives the same ids. Unless `approved`, a fact that its stage has
    not confirmed yields to everything known of the same day."""

    def vouched_by(stage: Stage) -> datetime:
        return known_at if approved or stage in facts.confirmed else _UNCONFIRMED

    return [
        Assertion(str(uuid5(application_id, kind)), kind, on, vouched_by(stage), rank_of(source), data)
        for stage, kind, on, data in _claims(applied_on, facts)
    ]


def _claims(applied_on: date, facts: ApplicationFacts) -> Iterator[tuple[Stage, str, date, dict[str, Any]]]:
    yield "township", "residence.observed", applied_on, {"area": facts.residence_area}
    if facts.long_term_care is not None:
        yield "township", "care_need.assessed", applied_on, {"needed": facts.long_term_care}
    if facts.certificate is not None:
        held = facts.certificate
        issue = {
            "category": held.category,
            "level": held.level,
            "components": [{"category": part.category, "level": part.level} for part in held.components],
            "expires_on": held.expires_on and held.expires_on.isoformat(),
        }
        yield "cdpf", "certificate.issued", held.issued_on or BEGINNING, issue
        if held.status == "in_transit":
            yield "cdpf", "certificate.moved_out", applied_on, {"in_transit": True}
        elif held.status != "valid":
            yield "cdpf", f"certificate.{held.status}", applied_on, {}
    if facts.low_income is not None:
        yield (
            "civil_affairs",
            "low_income.entered",
            facts.low_income.from_ or BEGINNING,
            {"category": facts.low_income.category},
        )

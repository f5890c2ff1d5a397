"""Facts: asserted once, stored for good, told to all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from libs.common.database import Transaction, new_id
from libs.common.errors import InvalidInput
from libs.common.events.envelope import FactEvent
from libs.common.mistakes import sentence_of
from services.matching.handlers.adding import add_rows
from services.matching.kinds import KINDS, about, kind_of
from services.matching.tables import facts

BY_VERIFICATION = "verification"
"""The source of facts that a person found out by verifying a finding."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A fact with where it comes from. `area` tells who may see it."""

    fact: FactEvent
    area: str
    asserted_by: str
    feed_id: UUID | None = None
    finding_id: UUID | None = None


async def assert_facts(tx: Transaction, assertions: Sequence[Assertion]) -> None:
    """Stores and publishes them. The caller holds the persons' locks."""
    if not assertions:
        return
    await add_rows(tx, facts, [_row(item) for item in assertions])
    for item in assertions:
        tx.publish(item.fact)


def _row(item: Assertion) -> dict[str, Any]:
    fact, kind, data = item.fact, kind_of(type(item.fact)), item.fact.model_dump(mode="json", by_alias=True)
    return {
        "fact_id": fact.fact_id,
        "person_id": fact.person_id,
        "kind": kind,
        "about": about(kind, data),
        "occurred_on": fact.occurred_on,
        "known_at": fact.known_at,
        "source": fact.source,
        "area": item.area,
        "data": data,
        "feed_id": item.feed_id,
        "finding_id": item.finding_id,
        "asserted_by": item.asserted_by,
        "retracts": getattr(fact, "retracts", None),
    }


def new_fact(
    tx: Transaction, kind: str, person_id: str, occurred_on: date, *, source: str, fields: Mapping[str, Any]
) -> FactEvent:
    """The payload of a kind, known now. InvalidInput names the fields that it lacks or cannot take."""
    whole = {
        **fields,
        "person_id": person_id,
        "fact_id": new_id(),
        "occurred_on": occurred_on,
        "known_at": tx.now,
        "source": source,
    }
    try:
        return KINDS[kind].payload.model_validate(whole)
    except ValidationError as error:
        problems = [
            {"path": ".".join(_as_pushed(kind, part) for part in problem["loc"]), "message": sentence_of(problem)}
            for problem in error.errors()
        ]
        raise InvalidInput("see errors", errors=problems) from error


def own_fields(fact: FactEvent) -> dict[str, Any]:
    """What a fact says besides who, when and whose word it is, as JSON."""
    return fact.model_dump(mode="json", by_alias=True, exclude=set(FactEvent.model_fields))


def _as_pushed(kind: str, part: str | int) -> str:
    """`kind` names the event in a push, so the kind of a benefit or of custody has a name of its own there."""
    if part != "kind":
        return str(part)
    return "custody_kind" if kind == "person.imprisoned" else "benefit_kind"

"""One change pushed by a partner or an official: a fact where it is theirs to assert, else a finding.

Another benefit that turns up in a month that we pay for is a finding whoever says so (ADR 0019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, text

from libs.common.auth import Principal
from libs.common.database import Transaction, new_id
from libs.common.errors import Forbidden, InvalidInput
from libs.common.events.envelope import FactEvent
from libs.common.events.matching import BenefitStarted, FactPushed, FactRetracted
from libs.common.period import Period
from services.matching.exclusions import allowed_from
from services.matching.findings import Lead
from services.matching.handlers.facts import BY_VERIFICATION, Assertion, assert_facts, new_fact, own_fields
from services.matching.handlers.findings import assert_authoritative
from services.matching.handlers.leads import claim_of, open_leads
from services.matching.handlers.persons import area_of
from services.matching.kinds import ISSUES, KINDS, RETRACTION
from services.matching.parameters import load_parameters
from services.matching.tables import applications, facts, standing_facts


@dataclass(frozen=True, slots=True)
class Push:
    """One change; `fields` are what its kind has besides, `area` is given where the sender named one."""

    kind: str
    person_id: str
    occurred_on: date
    area: str | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a push became. `event_id` is the fact's id, or that of the claim which a finding rests on."""

    event_id: UUID
    outcome: Literal["fact", "finding"]
    finding_id: UUID | None = None


async def receive_push(tx: Transaction, push: Push, principal: Principal, *, today: date) -> Outcome:
    """A fact where the caller may assert it for the person's area, else a finding; a benefit beside ours is a finding
    too. A repeat is the first again."""
    await tx.lock(push.person_id)
    home = await area_of(tx, push.person_id)
    area = push.area or home or principal.area
    kind = KINDS[push.kind]
    source = kind.source_for(principal) if home is None or principal.covers(home) else None
    fields = {name: value for name, value in {**push.fields, "area": push.area}.items() if value is not None}
    if push.kind in ISSUES:
        held = await _certificate_held(tx, push.person_id)
        if fields.get("category", "multiple") != "multiple":
            held.pop("components", None)
        fields = {**held, **fields}
    fact = new_fact(tx, push.kind, push.person_id, push.occurred_on, source=source or kind.sources[0], fields=fields)
    if source is None or await _is_beside_ours(tx, fact):
        return await _report(tx, push, fact, principal, home or area, today)
    known = await _same_fact(tx, push, fact)
    if known is not None:
        return Outcome(known, "fact")
    await assert_authoritative(tx, [Assertion(fact, area, principal.sub)])
    return _told(tx, fact, principal)


async def retract_fact(
    tx: Transaction, person_id: str, retracted: UUID, principal: Principal, *, reason: str | None
) -> Outcome:
    """The fact never was. Only whose word it was may take it back; what a verification found, civil affairs may.

    InvalidInput if no fact of this person in one's area has that id, Forbidden if it is another's word.
    """
    await tx.lock(person_id)
    found = await tx.connection.execute(
        select(facts).where(facts.c.fact_id == retracted, facts.c.person_id == person_id)
    )
    row = found.one_or_none()
    if row is None or row.kind == RETRACTION or not principal.covers(row.area):
        raise InvalidInput.at("retracts", "此人没有这条记录 (no fact of this person has that id)")
    if row.source == BY_VERIFICATION:
        allowed = principal.role == "civil_affairs"
    else:
        allowed = KINDS[row.kind].source_for(principal) is not None
    if not allowed:
        raise Forbidden(f"{row.kind} is the word of {row.source}: only they may take it back")
    done = await tx.connection.execute(select(facts.c.fact_id).where(facts.c.retracts == retracted))
    if (already := done.scalar_one_or_none()) is not None:
        return Outcome(already, "fact")
    retraction = FactRetracted(
        person_id=person_id,
        fact_id=new_id(),
        occurred_on=row.occurred_on,
        known_at=tx.now,
        source=row.source,
        retracts=retracted,
        reason=reason,
    )
    await assert_facts(tx, [Assertion(retraction, row.area, principal.sub)])
    return _told(tx, retraction, principal)


def _told(tx: Transaction, fact: FactEvent, principal: Principal) -> Outcome:
    tx.publish(FactPushed(person_id=fact.person_id, fact_id=fact.fact_id, pushed_by=principal.sub))
    return Outcome(fact.fact_id, "fact")


async def _report(
    tx: Transaction, push: Push, fact: FactEvent, principal: Principal, area: str, today: date
) -> Outcome:
    """A lead: the claim is the caller's own, and known for good."""
    lead = Lead(
        push.person_id,
        push.kind,
        push.occurred_on,
        area,
        source=principal.sub,
        detail=own_fields(fact),
        reported_by=principal.sub,
    )
    await open_leads(tx, [lead], opened_on=today)
    claim = await claim_of(tx, lead)
    if claim is not None:
        return Outcome(claim.claim_id, "finding", claim.finding_id)
    known = await tx.connection.execute(
        select(standing_facts.c.fact_id)
        .where(standing_facts.c.person_id == push.person_id, standing_facts.c.kind == push.kind)
        .order_by(standing_facts.c.known_at.desc())
    )
    return Outcome(known.scalars().first(), "fact")  # type: ignore[arg-type]  # neither noted nor known cannot be


async def _is_beside_ours(tx: Transaction, fact: FactEvent) -> bool:
    """Whether it is another benefit, in a month for which we pay what it excludes: the person may choose (notice 2)."""
    if not isinstance(fact, BenefitStarted):
        return False
    first = Period.of(fact.occurred_on)
    last = None if fact.until is None else str(Period.of(fact.until))
    paid = await tx.connection.execute(_PAID, {"person": fact.person_id, "first": str(first), "last": last})
    parameters = await load_parameters(tx)
    for months in paid:
        allowed = allowed_from(parameters, fact.kind, months.subsidy, months.area)
        if allowed is None or allowed > max(first, Period.parse(months.since)).index:
            return True
    return False


async def _same_fact(tx: Transaction, push: Push, fact: FactEvent) -> UUID | None:
    """A standing fact that says just the same."""
    said = fact.model_dump(mode="json", by_alias=True, exclude={"fact_id", "known_at"})
    found = await tx.connection.execute(
        select(standing_facts.c.fact_id).where(
            standing_facts.c.person_id == push.person_id,
            standing_facts.c.kind == push.kind,
            standing_facts.c.data.contains(said),
        )
    )
    return found.scalars().first()


async def _certificate_held(tx: Transaction, person_id: str) -> dict[str, Any]:
    """Category, level and components of the certificate last known: a renewal keeps what it does not name."""
    last_issue = await tx.connection.execute(
        select(standing_facts.c.data)
        .where(standing_facts.c.person_id == person_id, standing_facts.c.kind.in_(ISSUES))
        .order_by(standing_facts.c.occurred_on.desc(), standing_facts.c.known_at.desc())
        .limit(1)
    )
    claimed = await tx.connection.execute(
        select(applications.c.certificate)
        .where(applications.c.person_id == person_id, applications.c.certificate.is_not(None))
        .order_by(applications.c.applied_on.desc())
        .limit(1)
    )
    held = last_issue.scalar_one_or_none() or claimed.scalar_one_or_none() or {}
    return {name: held[name] for name in ("category", "level", "components") if held.get(name)}


_PAID = text(
    "SELECT r.subsidy, span ->> 'area' AS area, span ->> 'from' AS since"
    " FROM roster r, jsonb_array_elements(r.schedule) AS span WHERE r.person_id = :person"
    " AND coalesce(span ->> 'to', '9999-12') >= :first AND (CAST(:last AS text) IS NULL OR span ->> 'from' <= :last)"
)

"""Following applications: assessed on the facts known so far, and in force once they are approved."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, cast
from uuid import UUID, uuid5

from pydantic_core import from_json, to_json
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Transaction
from libs.common.events.eligibility import ApplicationAssessed, CandidatePrescreened, Reason, SubsidyDecision
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationFacts,
    ApplicationReviewed,
    ApplicationState,
    ApplicationSubmitted,
)
from libs.common.events.matching import CandidateIdentified
from libs.common.period import SHANGHAI, Period
from libs.common.projection import Received
from libs.common.vocabulary import SUBSIDIES, BenefitKind, Channel, Subsidy
from services.eligibility import determination
from services.eligibility.claims import assertions_of
from services.eligibility.determination import Determination, weighed
from services.eligibility.facts import BEGINNING, Application, Facts, Residence, SignedChoice
from services.eligibility.folding import Assertion, fold
from services.eligibility.handlers.entitlements import Person, load_persons, recompute
from services.eligibility.handlers.facts import store_assertions, take_facts
from services.eligibility.handlers.policies import policy_to_judge_by
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.policy.remedies import remedy
from services.eligibility.sources import source_of


async def follow_applications(tx: Transaction, received: Sequence[Received]) -> None:
    """Keeps the newest state of each application; recomputes those decided or withdrawn and assesses those open."""
    events: list[tuple[ApplicationState, datetime]] = [(item.data, item.envelope.time) for item in received]
    await tx.lock(*{event.person_id for event, _ in events})
    await _save_states(tx, events)
    await _save_outcomes(tx, [event for event, _ in events])
    await store_assertions(
        tx,
        (
            (event.person_id, source_of(event.channel), assertion)
            for event, at in events
            if event.granted
            for assertion in _confirmed(event, at)
        ),
    )
    if decided := [event for event, _ in events if event.granted or event.withdrawn_on is not None]:
        causes = {event.person_id: event.type.removesuffix(".v1") for event in decided}
        await recompute(tx, causes, areas={event.person_id: event.area for event in decided})
    told = [e.application_id for e, _ in events if isinstance(e, _JUDGED)]
    if told:
        await assess_applications(tx, told)


_JUDGED = (ApplicationSubmitted, ApplicationReviewed)


async def take_facts_and_reassess(tx: Transaction, received: Sequence[Received]) -> None:
    """Stores what departments assert, recomputes, and judges open applications on it; publishes what comes out
    otherwise."""
    recomputed = await take_facts(tx, received)
    if recomputed.open_applications:
        await assess_applications(tx, recomputed.open_applications)


def _confirmed(event: ApplicationState, at: datetime) -> list[Assertion]:
    """The facts of an approved application. Any later state of it tells them too, should the approval be lost: under
    ids of their own and as known on the day of decision, so that the approval itself counts wherever it arrived."""
    if isinstance(event, ApplicationApproved):
        return assertions_of(
            event.application_id, event.applied_on, event.facts, at, source=source_of(event.channel), approved=True
        )
    decided_at = datetime.combine(event.decided_on or event.applied_on, time(), SHANGHAI)
    survivor = uuid5(event.application_id, "state")
    source = source_of(event.channel)
    return assertions_of(survivor, event.applied_on, event.facts, decided_at, source=source, approved=True)


async def prescreen_candidates(tx: Transaction, received: Sequence[Received]) -> None:
    """Judges candidates as if they applied on the day they were identified (notice 1.3)."""
    candidates: dict[str, CandidateIdentified] = {item.data.person_id: item.data for item in received}
    await tx.lock(*candidates)
    policy = await policy_to_judge_by(tx)
    judged: list[CandidateIdentified] = []
    as_if_applied: list[Facts] = []
    for person in await load_persons(tx, candidates):
        known = person.facts()
        for candidate in (candidates[member] for member in person.members if member in candidates):
            day, residences = candidate.identified_on, known.residences or (Residence(candidate.area, BEGINNING),)
            applications = tuple(Application(subsidy, day) for subsidy in SUBSIDIES)
            judged.append(candidate)
            as_if_applied.append(replace(known, applications=applications, residences=residences))
    for candidate, decisions in zip(judged, await asyncio.to_thread(_decide, as_if_applied, policy), strict=True):
        tx.publish(
            CandidatePrescreened(
                person_id=candidate.person_id,
                version=candidate.version,
                outreach_id=candidate.outreach_id,
                eligible=tuple(decision.subsidy for decision in decisions if decision.eligible),
                decisions=decisions,
            )
        )


@dataclass(frozen=True, slots=True)
class _Open:
    """An application to assess, in its newest state, and what it was assessed as last (`assessed` 0: never)."""

    application_id: UUID
    person_id: str
    version: int
    area: str
    subsidies: tuple[Subsidy, ...]
    applied_on: date
    facts: ApplicationFacts
    told_at: datetime
    channel: Channel
    reviewed_on: date | None
    final: bool
    assessed: int
    assessed_state: int
    decisions: list[dict[str, Any]] | None


async def assess_applications(tx: Transaction, application_ids: list[UUID]) -> None:
    """Publishes what each open one comes to: once per state, and again when facts make it come to something else."""
    found = await tx.connection.execute(_OPEN, {"ids": application_ids})
    applications = [
        _Open(**{**row, "subsidies": tuple(row["subsidies"]), "facts": ApplicationFacts.model_validate(row["facts"])})
        for row in found.mappings()
    ]
    if not applications:
        return
    policy = await policy_to_judge_by(tx)
    persons = {
        member: person
        for person in await load_persons(tx, {item.person_id for item in applications})
        for member in person.members
    }
    facts = [_facts_as_declared(item, persons[item.person_id]) for item in applications]
    judged = await asyncio.to_thread(_decide, facts, policy)
    assessed: list[ApplicationAssessed] = []
    for item, decisions in zip(applications, judged, strict=True):
        answer = ApplicationAssessed(
            person_id=item.person_id,
            version=item.assessed + 1,
            application_id=item.application_id,
            application_version=item.version,
            policy_version=policy.version(item.area),
            decisions=decisions,
        )
        if item.version > item.assessed_state or from_json(_stored(answer)) != item.decisions:
            assessed.append(answer)
    await _save_assessments(tx, assessed)
    for answer in assessed:
        tx.publish(answer)


def _facts_as_declared(item: _Open, person: Person) -> Facts:
    claims = assertions_of(
        item.application_id,
        item.applied_on,
        item.facts,
        item.told_at,
        source=source_of(item.channel),
        approved=item.final,
    )
    known = fold([*person.assertions, *claims])
    month_end = Period.of(item.applied_on).last_day
    # Before the last review nobody knows the day of decision: the end of the month, or today if that is past.
    decided_on = item.reviewed_on if item.final else max(month_end, item.reviewed_on or month_end)
    applications = tuple(Application(subsidy, item.applied_on, decided_on) for subsidy in item.subsidies)
    choices = tuple(
        SignedChoice(cast(BenefitKind, choice.kind), choice.keep, choice.signed_on) for choice in item.facts.choices
    )
    return replace(known, applications=applications, choices=choices)


def _decide(applying: Sequence[Facts], policy: PolicySet) -> list[tuple[SubsidyDecision, ...]]:
    """Of each applicant every subsidy: whether any month is payable, from when on, and the reasons of that month, else
    of the first. The comparison is that of the month of application, in which the person has to choose."""
    if not applying:
        return []
    judged = Determination(applying, policy)

    def decision(i: int, facts: Facts, subsidy: Subsidy) -> SubsidyDecision:
        entitlements = judged.schedule(i, subsidy).entitlements
        first = entitlements[0] if entitlements else None
        applied_in = Period.of(facts.applications[0].applied_on)
        asked = month = weighed(judged.decision(i, subsidy, applied_in), facts, applied_in, policy)
        if first is not None and first.from_ != applied_in:
            month = weighed(judged.decision(i, subsidy, first.from_), facts, first.from_, policy)
        eligible = month.eligible
        return SubsidyDecision(
            subsidy=subsidy,
            eligible=eligible,
            first_period=first.from_ if first and eligible else None,
            amount_fen=month.amount_fen,
            reasons=tuple(map(told_reason, month.reasons)),
            comparison=asked.comparison,
        )

    return [tuple(decision(i, facts, subsidy) for subsidy in SUBSIDIES) for i, facts in enumerate(applying)]


@lru_cache(maxsize=1 << 14)
def told_reason(reason: determination.Reason) -> Reason:
    """Cached, for among millions of applications few differ."""
    return Reason(
        rule=reason.rule,
        outcome=reason.outcome,
        citation=reason.citation,
        detail=reason.detail,
        would_change=remedy(reason.rule, reason.outcome),
    )


async def _save_states(tx: Transaction, events: list[tuple[ApplicationState, datetime]]) -> None:
    newest: dict[UUID, tuple[ApplicationState, datetime]] = {}
    for event, at in sorted(events, key=lambda pair: pair[0].version):
        newest[event.application_id] = event, at
    columns: dict[str, list[Any]] = defaultdict(list)
    for event, at in newest.values():
        columns["ids"].append(event.application_id)
        columns["person_ids"].append(event.person_id)
        columns["versions"].append(event.version)
        columns["areas"].append(event.area)
        columns["statuses"].append(event.status)
        columns["subsidies"].append(" ".join(event.subsidies))
        columns["applied_on"].append(event.applied_on)
        columns["facts"].append(event.facts.model_dump_json(by_alias=True))
        columns["told_at"].append(at)
        columns["decided_on"].append(event.decided_on)
        reviewed_on, final = _last_word(event)
        columns["channels"].append(event.channel)
        columns["reviewed_on"].append(reviewed_on)
        columns["final"].append(final)
    await tx.connection.execute(_SAVE_STATES, columns)


def _last_word(event: ApplicationState) -> tuple[date | None, bool]:
    """When it was last reviewed, and whether the assessment now asked for decides."""
    if isinstance(event, ApplicationReviewed):
        return event.reviewed_on, event.final
    return None, False


async def _save_outcomes(tx: Transaction, events: list[ApplicationState]) -> None:
    """Approval and withdrawal are kept whichever state of the application tells them, and in whatever order."""
    approved = [event for event in events if event.granted]
    if approved:
        await tx.connection.execute(
            _SAVE_APPROVALS,
            {
                "ids": [event.application_id for event in approved],
                "granted": [" ".join(event.granted) for event in approved],
                "decided_on": [event.decided_on or event.applied_on for event in approved],
            },
        )
    withdrawn = [event for event in events if event.withdrawn_on is not None]
    if withdrawn:
        await tx.connection.execute(
            _SAVE_WITHDRAWALS,
            {
                "ids": [event.application_id for event in withdrawn],
                "withdrawn_on": [event.withdrawn_on for event in withdrawn],
            },
        )


def _stored(answer: ApplicationAssessed) -> str:
    return to_json(answer.decisions, by_alias=False).decode()


async def _save_assessments(tx: Transaction, assessed: list[ApplicationAssessed]) -> None:
    if assessed:
        await tx.connection.execute(
            _SAVE_ASSESSMENTS,
            {
                "ids": [answer.application_id for answer in assessed],
                "versions": [answer.version for answer in assessed],
                "application_versions": [answer.application_version for answer in assessed],
                "policy_versions": [answer.policy_version for answer in assessed],
                "decisions": [_stored(answer) for answer in assessed],
            },
        )


_SAVE_STATES = text(
    """
    INSERT INTO applications (application_id, person_id, version, area, channel, status, subsidies, applied_on, facts,
        told_at, reviewed_on, final, decided_on)
    SELECT id, person_id, version, area, channel, status, string_to_array(subsidies, ' '), applied_on,
        CAST(facts AS jsonb), told_at, reviewed_on, final, decided_on
    FROM unnest(CAST(:ids AS uuid[]), CAST(:person_ids AS text[]), CAST(:versions AS bigint[]), CAST(:areas AS text[]),
        CAST(:channels AS text[]), CAST(:statuses AS text[]), CAST(:subsidies AS text[]), CAST(:applied_on AS date[]),
        CAST(:facts AS text[]), CAST(:told_at AS timestamptz[]), CAST(:reviewed_on AS date[]),
        CAST(:final AS boolean[]), CAST(:decided_on AS date[]))
        AS given (id, person_id, version, area, channel, status, subsidies, applied_on, facts, told_at, reviewed_on,
            final, decided_on)
    ON CONFLICT (application_id) DO UPDATE SET version = excluded.version, area = excluded.area,
        status = excluded.status, subsidies = excluded.subsidies, applied_on = excluded.applied_on,
        facts = excluded.facts, told_at = excluded.told_at, reviewed_on = excluded.reviewed_on, final = excluded.final,
        decided_on = coalesce(excluded.decided_on, applications.decided_on)
    WHERE applications.version < excluded.version
    """
)

_SAVE_APPROVALS = text(
    """
    UPDATE applications SET granted = string_to_array(given.granted, ' '), decided_on = given.decided_on
    FROM unnest(CAST(:ids AS uuid[]), CAST(:granted AS text[]), CAST(:decided_on AS date[]))
        AS given (id, granted, decided_on)
    WHERE application_id = given.id
    """
)

_SAVE_WITHDRAWALS = text(
    """
    UPDATE applications SET withdrawn_on = given.withdrawn_on
    FROM unnest(CAST(:ids AS uuid[]), CAST(:withdrawn_on AS date[])) AS given (id, withdrawn_on)
    WHERE application_id = given.id
    """
)

_OPEN = text(
    """
    SELECT a.application_id, a.person_id, a.version, a.area, a.subsidies, a.applied_on, a.facts, a.told_at, a.channel,
        a.reviewed_on, a.final, coalesce(s.version, 0) AS assessed,
        coalesce(s.application_version, 0) AS assessed_state, s.decisions
    FROM applications a LEFT JOIN LATERAL (
        SELECT version, application_version, decisions FROM assessments s WHERE s.application_id = a.application_id
        ORDER BY version DESC LIMIT 1
    ) AS s ON true
    WHERE a.status IN ('submitted', 'in_review', 'returned') AND a.application_id = ANY(:ids)
    """
).columns(facts=JSONB, decisions=JSONB)

_SAVE_ASSESSMENTS = text(
    """
    INSERT INTO assessments (application_id, version, application_version, policy_version, decisions)
    SELECT id, version, application_version, policy_version, CAST(decisions AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:application_versions AS bigint[]),
        CAST(:policy_versions AS text[]), CAST(:decisions AS text[]))
        AS given (id, version, application_version, policy_version, decisions)
    """
)

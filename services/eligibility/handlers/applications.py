"""Following applications: assessed on the facts known so far, and in force once they are approved."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.consumer import Received
from libs.common.database import Transaction
from libs.common.events.eligibility import ApplicationAssessed, CandidatePrescreened, Reason, SubsidyDecision
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationReviewed,
    ApplicationState,
    ApplicationSubmitted,
    ApplicationWithdrawn,
)
from libs.common.events.matching import CandidateIdentified
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.claims import assertions_of
from services.eligibility.determination import Determination
from services.eligibility.facts import BEGINNING, Application, Facts, Residence
from services.eligibility.folding import fold
from services.eligibility.handlers.entitlements import Person, load_persons, recompute
from services.eligibility.handlers.facts import store_assertions
from services.eligibility.handlers.policies import load_policy
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.sources import REVIEW


async def follow_applications(tx: Transaction, received: Sequence[Received]) -> None:
    """Keeps the newest state of each application; recomputes those decided or withdrawn and assesses those open."""
    events: list[tuple[ApplicationState, datetime]] = [(item.data, item.envelope.time) for item in received]
    await tx.lock(*{event.person_id for event, _ in events})
    await _save_states(tx, [event for event, _ in events])
    await _save_outcomes(tx, [event for event, _ in events])
    approved = [(event, at) for event, at in events if isinstance(event, ApplicationApproved)]
    await store_assertions(
        tx,
        (
            (event.person_id, REVIEW, assertion)
            for event, at in approved
            for assertion in assertions_of(event.application_id, event.applied_on, event.facts, at, approved=True)
        ),
    )
    decided = [event for event, _ in events if isinstance(event, ApplicationApproved | ApplicationWithdrawn)]
    if decided:
        causes = {event.person_id: event.type.removesuffix(".v1") for event in decided}
        await recompute(tx, causes, areas={event.person_id: event.area for event in decided})
    await _assess(tx, [(e, at) for e, at in events if isinstance(e, ApplicationSubmitted | ApplicationReviewed)])


async def prescreen_candidates(tx: Transaction, received: Sequence[Received]) -> None:
    """Judges candidates as if they applied on the day they were identified (notice 1.3)."""
    candidates: dict[str, CandidateIdentified] = {item.data.person_id: item.data for item in received}
    await tx.lock(*candidates)
    policy = await load_policy(tx)
    for person in await load_persons(tx, candidates):
        known = person.facts()
        for candidate in (candidates[member] for member in person.members if member in candidates):
            day, residences = candidate.identified_on, known.residences or (Residence(candidate.area, BEGINNING),)
            applications = tuple(Application(subsidy, day) for subsidy in SUBSIDIES)
            facts = replace(known, applications=applications, residences=residences)
            decisions = _decide(facts, policy, day)
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
    """An application to assess, in its newest state."""

    state: ApplicationState
    at: datetime
    reviewed_on: date | None
    final: bool


async def _assess(tx: Transaction, events: list[tuple[ApplicationSubmitted | ApplicationReviewed, datetime]]) -> None:
    """Publishes what the newest state of each application comes to, once per state."""
    newest: dict[UUID, _Open] = {}
    for event, at in sorted(events, key=lambda pair: pair[0].version):
        if isinstance(event, ApplicationReviewed):
            newest[event.application_id] = _Open(event, at, event.reviewed_on, event.final)
        else:
            newest[event.application_id] = _Open(event, at, None, False)
    if not newest:
        return
    done: dict[UUID, tuple[int, int]] = {}
    for row in await tx.connection.execute(_LAST_ASSESSMENTS, {"ids": list(newest)}):
        done[row.application_id] = (row.version, row.application_version)
    due = [item for key, item in newest.items() if item.state.version > done.get(key, (0, 0))[1]]
    policy = await load_policy(tx)
    persons = {
        member: person
        for person in await load_persons(tx, {item.state.person_id for item in due})
        for member in person.members
    }
    assessed = [_assessment(item, persons[item.state.person_id], policy, done) for item in due]
    await _save_assessments(tx, assessed)
    for answer in assessed:
        tx.publish(answer)


def _assessment(
    item: _Open, person: Person, policy: PolicySet, done: dict[UUID, tuple[int, int]]
) -> ApplicationAssessed:
    state = item.state
    claims = assertions_of(state.application_id, state.applied_on, state.facts, item.at, approved=item.final)
    known = fold([*person.assertions, *claims])
    month_end = Period.of(state.applied_on).last_day
    # Before the last review nobody knows the day of decision: the end of the month, or today if that is past.
    decided_on = item.reviewed_on if item.final else max(month_end, item.reviewed_on or month_end)
    applications = tuple(Application(subsidy, state.applied_on, decided_on) for subsidy in state.subsidies)
    return ApplicationAssessed(
        person_id=state.person_id,
        version=done.get(state.application_id, (0, 0))[0] + 1,
        application_id=state.application_id,
        application_version=state.version,
        policy_version=policy.version(state.area),
        decisions=_decide(replace(known, applications=applications), policy, state.applied_on),
    )


def _with(
    known: Facts, applications: tuple[Application, ...], residences: tuple[Residence, ...] | None = None
) -> Facts:
    return replace(known, applications=applications, residences=residences or known.residences)


def _decide(facts: Facts, policy: PolicySet, applied_on: date) -> tuple[SubsidyDecision, ...]:
    """Each subsidy: whether any month is payable, from when on, and the reasons of that month, else of the first."""
    judged = Determination([facts], policy, since=Period.of(applied_on))

    def decision(subsidy: Subsidy) -> SubsidyDecision:
        entitlements = judged.schedule(0, subsidy).entitlements
        first = entitlements[0] if entitlements else None
        month = judged.decision(0, subsidy, first.from_ if first else Period.of(applied_on))
        return SubsidyDecision(
            subsidy=subsidy,
            eligible=first is not None,
            first_period=first.from_ if first else None,
            amount_fen=first.amount_fen if first else 0,
            reasons=tuple(
                Reason(rule=r.rule, outcome=r.outcome, citation=r.citation, detail=r.detail) for r in month.reasons
            ),
        )

    return tuple(decision(subsidy) for subsidy in SUBSIDIES)


async def _save_states(tx: Transaction, events: list[ApplicationState]) -> None:
    newest: dict[UUID, ApplicationState] = {}
    for event in sorted(events, key=lambda event: event.version):
        newest[event.application_id] = event
    columns: dict[str, list[Any]] = defaultdict(list)
    for event in newest.values():
        columns["ids"].append(event.application_id)
        columns["person_ids"].append(event.person_id)
        columns["versions"].append(event.version)
        columns["areas"].append(event.area)
        columns["statuses"].append(event.status)
        columns["subsidies"].append(" ".join(event.subsidies))
        columns["applied_on"].append(event.applied_on)
        columns["facts"].append(event.facts.model_dump_json(by_alias=True))
    await tx.connection.execute(_SAVE_STATES, columns)


async def _save_outcomes(tx: Transaction, events: list[ApplicationState]) -> None:
    """Approval and withdrawal are kept whichever of the two events comes first: each says what the other does not."""
    approved = [event for event in events if isinstance(event, ApplicationApproved)]
    if approved:
        await tx.connection.execute(
            _SAVE_APPROVALS,
            {
                "ids": [event.application_id for event in approved],
                "granted": [" ".join(event.granted) for event in approved],
                "decided_on": [event.decided_on for event in approved],
            },
        )
    withdrawn = [event for event in events if isinstance(event, ApplicationWithdrawn)]
    if withdrawn:
        await tx.connection.execute(
            _SAVE_WITHDRAWALS,
            {
                "ids": [event.application_id for event in withdrawn],
                "withdrawn_on": [event.withdrawn_on for event in withdrawn],
            },
        )


async def _save_assessments(tx: Transaction, assessed: list[ApplicationAssessed]) -> None:
    if assessed:
        await tx.connection.execute(
            _SAVE_ASSESSMENTS,
            {
                "ids": [answer.application_id for answer in assessed],
                "versions": [answer.version for answer in assessed],
                "application_versions": [answer.application_version for answer in assessed],
                "policy_versions": [answer.policy_version for answer in assessed],
                "decisions": [
                    json.dumps(answer.model_dump(mode="json")["decisions"], ensure_ascii=False) for answer in assessed
                ],
            },
        )


_SAVE_STATES = text(
    """
    INSERT INTO applications (application_id, person_id, version, area, status, subsidies, applied_on, facts)
    SELECT id, person_id, version, area, status, string_to_array(subsidies, ' '), applied_on, CAST(facts AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:person_ids AS text[]), CAST(:versions AS bigint[]), CAST(:areas AS text[]),
        CAST(:statuses AS text[]), CAST(:subsidies AS text[]), CAST(:applied_on AS date[]), CAST(:facts AS text[]))
        AS given (id, person_id, version, area, status, subsidies, applied_on, facts)
    ON CONFLICT (application_id) DO UPDATE SET version = excluded.version, area = excluded.area,
        status = excluded.status, subsidies = excluded.subsidies, applied_on = excluded.applied_on,
        facts = excluded.facts
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

_LAST_ASSESSMENTS = text(
    """
    SELECT DISTINCT ON (application_id) application_id, version, application_version FROM assessments
    WHERE application_id = ANY(:ids) ORDER BY application_id, version DESC
    """
)

_SAVE_ASSESSMENTS = text(
    """
    INSERT INTO assessments (application_id, version, application_version, policy_version, decisions)
    SELECT id, version, application_version, policy_version, CAST(decisions AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:application_versions AS bigint[]),
        CAST(:policy_versions AS text[]), CAST(:decisions AS text[]))
        AS given (id, version, application_version, policy_version, decisions)
    """
)

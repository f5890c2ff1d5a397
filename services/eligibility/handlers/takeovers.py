"""Recipients on a roster that is taken over (存量接管): judged once, a batch as columns, and in what policy grants in
force at once. Nobody reviews them, so there is no approval to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.common.database import Transaction, copy_rows
from libs.common.events.eligibility import EntitlementChanged, JudgedRecipient, RecipientsJudged, SubsidyDecision
from libs.common.events.intake import ListedApplication, ListedRecipient, RecipientsListed
from libs.common.period import Period, business_date
from libs.common.projection import Received
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.claims import assertions_of
from services.eligibility.determination import Determination, weighed
from services.eligibility.facts import Application, Facts
from services.eligibility.folding import Assertion
from services.eligibility.handlers.applications import told_reason
from services.eligibility.handlers.entitlements import Person, load_persons, save_areas, save_schedules, told_schedule
from services.eligibility.handlers.facts import store_assertions
from services.eligibility.handlers.policies import policy_to_judge_by
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.schedules import Schedule
from services.eligibility.sources import ROSTER

_CAUSE = "recipients.listed"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A recipient as a roster lists them, and what is known of them with it."""

    event: RecipientsListed
    told_at: datetime
    entry: ListedRecipient
    claims: list[Assertion]
    person: Person
    facts: Facts


@dataclass(frozen=True, slots=True)
class _Judged:
    listed: _Listed
    schedules: Mapping[Subsidy, Schedule]
    decisions: Mapping[Subsidy, SubsidyDecision]
    """Of the subsidies listed."""

    def granted(self, application: ListedApplication) -> list[Subsidy]:
        return [subsidy for subsidy in application.subsidies if self.decisions[subsidy].eligible]

    def told_schedules(
        self, changed: Mapping[tuple[str, Subsidy], EntitlementChanged], today: Period
    ) -> list[EntitlementChanged]:
        """Those that changed, and as it stands whatever else is granted."""
        person, facts = self.listed.person, self.listed.facts
        told = []
        for subsidy, schedule in self.schedules.items():
            if (change := changed.get((person.person_id, subsidy))) is not None:
                told.append(change)
            elif subsidy in self.decisions and self.decisions[subsidy].eligible:
                version = person.versions[subsidy]
                told.append(told_schedule(person, facts, subsidy, schedule, version, _CAUSE, today))
        return told


async def take_over(tx: Transaction, received: Sequence[Received]) -> None:
    """Judges them on what is known and on the roster's word, puts in force what is granted (facts, applications and
    schedules), and tells the decisions with it."""
    portions = [item.data for item in received]
    await tx.lock(
        *(portion.key for portion in portions),
        *(entry.person_id for portion in portions for entry in portion.recipients),
    )
    listed = await _new_ones(tx, received)
    if not listed:
        return
    policy = await policy_to_judge_by(tx)
    judged = await asyncio.to_thread(_judge, listed, policy)
    await _save_applications(tx, judged)
    taken = [item for item in judged if any(decision.eligible for decision in item.decisions.values())]
    await store_assertions(tx, ((i.listed.entry.person_id, ROSTER, claim) for i in taken for claim in i.listed.claims))
    persons = [item.listed.person for item in taken]
    areas = {item.listed.entry.person_id: item.listed.entry.area for item in taken}
    await save_areas(tx, persons, [item.listed.facts for item in taken], areas)
    schedules = [(item.listed.person, item.listed.facts, item.schedules) for item in taken]
    cause_of = {(person.person_id, subsidy): _CAUSE for person in persons for subsidy in SUBSIDIES}
    changed = await save_schedules(tx, schedules, cause_of)
    _tell_judgements(tx, judged, changed, policy)


async def _new_ones(tx: Transaction, received: Sequence[Received]) -> list[_Listed]:
    """Those not taken yet, of each person one, each with everything known of the person."""
    named = {entry.person_id: (item, entry) for item in reversed(received) for entry in item.data.recipients}
    first_ids = [entry.applications[0].application_id for _, entry in named.values()]
    taken = set((await tx.connection.execute(_TAKEN, {"ids": first_ids})).scalars())
    persons = {
        member: person for person in await load_persons(tx, named) for member in person.members if member in named
    }
    listed = []
    for person_id, (item, entry) in named.items():
        first, person = entry.applications[0], persons[person_id]
        if first.application_id in taken:
            continue
        at, event = item.envelope.time, item.data
        claims = assertions_of(first.application_id, first.applied_on, entry.facts, at, source=ROSTER, approved=True)
        person.assertions += claims
        person.applications += [
            Application(subsidy, application.applied_on, event.imported_on)
            for application in entry.applications
            for subsidy in application.subsidies
        ]
        listed.append(_Listed(event, at, entry, claims, person, person.facts()))
    return listed


def _judge(listed: Sequence[_Listed], policy: PolicySet) -> list[_Judged]:
    determination = Determination([item.facts for item in listed], policy)
    judged = []
    for i, item in enumerate(listed):
        schedules = {subsidy: determination.schedule(i, subsidy) for subsidy in SUBSIDIES}
        decisions = {
            subsidy: _decision(determination, i, item, subsidy, application, schedules[subsidy], policy)
            for application in item.entry.applications
            for subsidy in application.subsidies
        }
        judged.append(_Judged(item, schedules, decisions))
    return judged


def _decision(
    determination: Determination,
    i: int,
    item: _Listed,
    subsidy: Subsidy,
    application: ListedApplication,
    schedule: Schedule,
    policy: PolicySet,
) -> SubsidyDecision:
    """Granted where months from the first one listed on are payable, or refused with the rules that fail in it."""
    first = Period.of(application.applied_on)
    for entry in schedule.entitlements:
        if entry.to is None or entry.to >= first:
            return SubsidyDecision(
                subsidy=subsidy, eligible=True, first_period=entry.from_, amount_fen=entry.amount_fen
            )
    asked = weighed(determination.decision(i, subsidy, first), item.facts, first, policy)
    return SubsidyDecision(
        subsidy=subsidy,
        eligible=False,
        reasons=tuple(told_reason(reason) for reason in asked.reasons if reason.outcome == "fail"),
        comparison=asked.comparison,
    )


def _tell_judgements(
    tx: Transaction, judged: Sequence[_Judged], changed: Sequence[EntitlementChanged], policy: PolicySet
) -> None:
    """Portion by portion, as they were listed."""
    today = Period.of(business_date(tx.now))
    by_place = {(change.person_id, change.subsidy): change for change in changed}
    answers: dict[str, list[_Judged]] = {}
    for item in judged:
        answers.setdefault(item.listed.event.portion, []).append(item)
    for portion, items in answers.items():
        recipients = tuple(
            JudgedRecipient.model_construct(
                person_id=item.listed.entry.person_id,
                policy_version=policy.version(item.listed.entry.area),
                decisions=tuple(item.decisions.values()),
                schedules=tuple(item.told_schedules(by_place, today)),
            )
            for item in items
        )
        import_id = items[0].listed.event.import_id
        tx.publish(RecipientsJudged(version=1, import_id=import_id, portion=portion, recipients=recipients), bulk=True)


async def _save_applications(tx: Transaction, judged: Sequence[_Judged]) -> None:
    rows: list[tuple[Any, ...]] = []
    for item in judged:
        entry, event = item.listed.entry, item.listed.event
        facts = entry.facts.model_dump_json(by_alias=True)
        for application in entry.applications:
            granted = item.granted(application)
            rows.append(
                (
                    application.application_id,
                    entry.person_id,
                    event.version,
                    entry.area,
                    "roster",
                    "approved" if granted else "rejected",
                    list(application.subsidies),
                    application.applied_on,
                    facts,
                    item.listed.told_at,
                    event.imported_on,
                    True,
                    granted,
                    event.imported_on,
                )
            )
    await copy_rows(tx, "applications", _COLUMNS, rows)


_COLUMNS = (
    "application_id", "person_id", "version", "area", "channel", "status", "subsidies", "applied_on", "facts",
    "told_at", "reviewed_on", "final", "granted", "decided_on",
)  # fmt: skip

_TAKEN = text("SELECT application_id FROM applications WHERE application_id = ANY(CAST(:ids AS uuid[]))")

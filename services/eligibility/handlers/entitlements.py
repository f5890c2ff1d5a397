"""Recomputing what persons are entitled to, from all that is known of them, and telling what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from operator import eq, itemgetter
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import from_json, to_json  # a third of the time that json takes
from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.eligibility import EntitledMonths, EntitlementChanged
from libs.common.period import SHANGHAI, Period, business_date
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.determination import Determination
from services.eligibility.facts import Application, Facts
from services.eligibility.folding import Assertion, fold
from services.eligibility.handlers.policies import policy_to_judge_by
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.policy.rules import alive
from services.eligibility.schedules import Entitlement, Schedule

_COMPARED = itemgetter("from", "to", "amount_fen", "area", "level", "category")
"""What makes a schedule another one. A new policy that changes no month leaves every entitlement as it is."""

_MERGED = "person.merged"
"""Why the schedule of an id ended that goes on under another one."""


@dataclass(slots=True)
class Person:
    """Everything stored about one person; `members` are the ids that were merged into this one, itself included."""

    person_id: str
    members: list[str] = field(default_factory=list)
    area: str | None = None
    lived_in: list[str] = field(default_factory=list)
    assertions: list[Assertion] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)
    versions: dict[Subsidy, int] = field(default_factory=dict)
    schedules: dict[Subsidy, list[dict[str, Any]]] = field(default_factory=dict)
    died_on: dict[Subsidy, date | None] = field(default_factory=dict)
    """As it was told with each schedule."""
    superseded: list[tuple[str, Subsidy, int]] = field(default_factory=list)
    """Ids merged into this one whose schedule, with its version, has not been told to end by it yet."""
    open_applications: list[UUID] = field(default_factory=list)

    def facts(self) -> Facts:
        return fold(self.assertions, tuple(self.applications))


Given = TypeVar("Given")
Told = tuple[str, str]
"""A fact that was heard: its id, and its kind."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """How many entitlements changed, and the open applications of the persons, which may be judged otherwise now."""

    changed: int
    open_applications: list[UUID]


async def recompute(
    tx: Transaction,
    causes: Mapping[str, str],
    *,
    areas: Mapping[str, str],
    told: Mapping[str, Sequence[Told]] = MappingProxyType({}),
    bulk: bool = False,
) -> Recomputed:
    """Judges the persons in `causes` (person id → what gave occasion) anew; stores and publishes what changed.

    `areas` says where a person was heard of, for one whose residence is not known otherwise; `told` what was heard at
    once of those of whom it was several things, each of which may be the cause. The caller holds the persons' locks.
    """
    persons = await load_persons(tx, causes)
    policy = await policy_to_judge_by(tx)
    cause_of = {(person.person_id, s): _first(causes, person.members) for person in persons for s in SUBSIDIES}
    facts = [person.facts() for person in persons]
    await save_areas(tx, persons, facts, areas)
    entitled = [i for i, person in enumerate(persons) if person.applications or any(person.schedules.values())]
    judged = await asyncio.to_thread(_judge, [facts[i] for i in entitled], policy)
    if told:
        several = [(persons[i], _first(told, persons[i].members)) for i in entitled if {*persons[i].members} & {*told}]
        cause_of |= await asyncio.to_thread(_last_that_changed, several, policy)
    schedules = [(persons[i], facts[i], schedule) for i, schedule in zip(entitled, judged, strict=True)]
    changed = await save_schedules(tx, schedules, cause_of)
    changed += await _save_changes(tx, [(_emptied(p, *gone), []) for p in persons for gone in p.superseded])
    for change in changed:
        tx.publish(change, bulk=bulk)
    return Recomputed(len(changed), [id_ for person in persons for id_ in person.open_applications])


async def save_schedules(
    tx: Transaction,
    judged: Iterable[tuple[Person, Facts, Mapping[Subsidy, Schedule]]],
    cause_of: Mapping[tuple[str, Subsidy], str],
) -> list[EntitlementChanged]:
    """Stores those of the schedules that differ from what is stored, of persons of whom another death is known, or none
    any more, or that another id's goes on in: what was paid under that one counts for this one from then on. What is to
    be told of them."""
    today = Period.of(business_date(tx.now))
    changes: list[_Change] = []
    for person, facts, schedules in judged:
        died_on = facts.died_on
        taken_on = {subsidy for _, subsidy, _ in person.superseded}
        for subsidy, schedule in schedules.items():
            months = [_stored(entry) for entry in schedule.entitlements]
            is_other = not _same(months, person.schedules.get(subsidy, []))
            if is_other or subsidy in taken_on or died_on != person.died_on.get(subsidy, died_on):
                cause = cause_of[person.person_id, subsidy]
                version = person.versions.get(subsidy, 0) + 1
                changes.append((told_schedule(person, facts, subsidy, schedule, version, cause, today), months))
    return await _save_changes(tx, changes)


def _judge(facts: list[Facts], policy: PolicySet) -> list[dict[Subsidy, Schedule]]:
    if not facts:
        return []
    determination = Determination(facts, policy)
    return [{subsidy: determination.schedule(i, subsidy) for subsidy in SUBSIDIES} for i in range(len(facts))]


def _last_that_changed(
    several: Sequence[tuple[Person, Sequence[Told]]], policy: PolicySet
) -> dict[tuple[str, Subsidy], str]:
    """Of several things heard at once of a person, the last by which a schedule became another; none where none did."""
    steps = []
    for person, told in several:
        for count in range(len(told) + 1):
            later = {fact_id for fact_id, _ in told[count:]}
            known = [assertion for assertion in person.assertions if assertion.fact_id not in later]
            steps.append(fold(known, tuple(person.applications)))
    judged = iter(_judge(steps, policy))
    found: dict[tuple[str, Subsidy], str] = {}
    for person, told in several:
        before = next(judged)
        for _, kind in told:
            after = next(judged)
            found |= {(person.person_id, s): kind for s in SUBSIDIES if after[s].entitlements != before[s].entitlements}
            before = after
    return found


def _same(months: list[dict[str, Any]], before: list[dict[str, Any]]) -> bool:
    return len(months) == len(before) and all(map(eq, map(_COMPARED, months), map(_COMPARED, before)))


def _has_ended(schedule: Schedule, today: Period) -> bool:
    """A last month to come, such as that of a certificate's expiry, is no stop yet."""
    last = schedule.entitlements[-1].to if schedule.entitlements else None
    return last is not None and last < today


def _first(of: Mapping[str, Given], members: Collection[str]) -> Given:
    return next(of[member] for member in members if member in of)


def told_schedule(
    person: Person,
    facts: Facts,
    subsidy: Subsidy,
    schedule: Schedule,
    version: int,
    cause: str,
    today: Period,
) -> EntitlementChanged:
    """The schedule as events tell it."""
    return EntitlementChanged(
        person_id=person.person_id,
        version=version,
        subsidy=subsidy,
        schedule=told_months(schedule.entitlements),
        cause=cause,
        stopped_because=schedule.stopped_because if _has_ended(schedule, today) else None,
        died_on=facts.died_on,
        to_heir=schedule.stopped_because == alive.name and facts.died_before_approval(subsidy),
        area=person.area or "",
        members=tuple(member for member in person.members if member != person.person_id),
    )


def told_months(entitlements: Iterable[Entitlement]) -> tuple[EntitledMonths, ...]:
    """The months as events tell them."""
    return tuple(map(_told, entitlements))


@lru_cache(maxsize=1 << 16)
def _told(entry: Entitlement) -> EntitledMonths:
    """Cached, for among millions few differ; nothing to check, for the values are our own."""
    return EntitledMonths.model_construct(**{name: getattr(entry, name) for name in EntitledMonths.model_fields})


@lru_cache(maxsize=1 << 16)
def _stored(entry: Entitlement) -> dict[str, Any]:
    """As it is stored and answered. Cached as well: it is read, never changed."""
    return _told(entry).model_dump(mode="json", by_alias=True)


def _emptied(person: Person, member: str, subsidy: Subsidy, version: int) -> EntitlementChanged:
    return EntitlementChanged(
        person_id=member,
        version=version + 1,
        subsidy=subsidy,
        schedule=(),
        cause=_MERGED,
        stopped_because=_MERGED,
        area=person.area or "",
        merged_into=person.person_id,
    )


_Change = tuple[EntitlementChanged, list[dict[str, Any]]]
"""What is told of an entitlement, and its months as they are stored."""


async def _save_changes(tx: Transaction, changes: list[_Change]) -> list[EntitlementChanged]:
    """Adds the new versions; what is to be told of them."""
    if not changes:
        return []
    rows = [
        {
            "person_id": change.person_id,
            "subsidy": change.subsidy,
            "version": change.version,
            "schedule": months,
            "stopped_because": change.stopped_because,
            "died_on": change.died_on,
            "cause": change.cause,
            "area": change.area,
        }
        for change, months in changes
    ]
    await tx.connection.execute(_INSERT_ENTITLEMENTS, {"told": to_json(rows).decode()})
    return [change for change, _ in changes]


async def load_persons(
    tx: Transaction, person_ids: Collection[str], known_before: datetime | None = None
) -> list[Person]:
    """The persons, each once and under the id that it was merged into, with what was known before a moment."""
    found = await tx.connection.execute(_MEMBERS, {"person_ids": list(person_ids)})
    persons: dict[str, Person] = {}
    root_of: dict[str, str] = {}
    for root, member, area, lived_in in found.all():
        person = persons.setdefault(root, Person(root))
        person.members.append(member)
        root_of[member] = root
        if member == root and area is not None:
            person.area, person.lived_in = area, lived_in
    members = {"person_ids": list(root_of)}
    asserted = (await tx.connection.execute(_ASSERTIONS, {**members, "known_before": known_before})).all()
    for person_id, fact_id, kind, on, known_at, rank, data in asserted:
        assertion = Assertion(fact_id, kind, on, known_at, rank, from_json(data))
        persons[root_of[person_id]].assertions.append(assertion)
    known_on = None if known_before is None else business_date(known_before) - timedelta(days=1)
    for row in (await tx.connection.execute(_APPLICATIONS, {**members, "known_on": known_on})).all():
        person = persons[root_of[row.person_id]]
        person.applications += [
            Application(s, row.applied_on, row.decided_on, row.withdrawn_on, row.approved_at) for s in row.granted
        ]
        if row.is_open:
            person.open_applications.append(row.application_id)
    for row in (await tx.connection.execute(_CURRENT, members)).all():
        person = persons[root_of[row.person_id]]
        if row.person_id == person.person_id:
            person.versions[row.subsidy], person.schedules[row.subsidy] = row.version, from_json(row.schedule)
            person.died_on[row.subsidy] = row.died_on
        elif row.stopped_because != _MERGED:
            person.superseded.append((row.person_id, row.subsidy, row.version))
    return list(persons.values())


async def save_areas(
    tx: Transaction, persons: list[Person], facts: list[Facts], heard_of_in: Mapping[str, str]
) -> None:
    """Keeps where each person lives now, or was heard of, and every area that a policy may touch them through."""
    moved: list[dict[str, Any]] = []
    for person, known in zip(persons, facts, strict=True):
        heard = next((heard_of_in[m] for m in person.members if heard_of_in.get(m)), None)
        area = known.residences[-1].area if known.residences else person.area or heard
        if area is None:
            continue
        lived_in = sorted({area, *(residence.area for residence in known.residences)})
        if (area, lived_in) != (person.area, person.lived_in):
            moved.append({"person_id": person.person_id, "area": area, "lived_in": lived_in})
            person.area, person.lived_in = area, lived_in
    if moved:
        await tx.connection.execute(_SAVE_AREAS, {"told": to_json(moved).decode()})


def end_of(day: date) -> datetime:
    """The first moment after a business day: what was known by its end."""
    return datetime.combine(day + timedelta(days=1), time(), SHANGHAI)


_MEMBERS = text(
    """
    WITH roots AS (
        SELECT DISTINCT coalesce(p.merged_into, given) AS root
        FROM unnest(CAST(:person_ids AS text[])) AS given LEFT JOIN persons p ON p.person_id = given
    )
    SELECT root, root AS member, p.area, p.lived_in FROM roots LEFT JOIN persons p ON p.person_id = root
    UNION ALL
    SELECT root, p.person_id, NULL, NULL FROM roots JOIN persons p ON p.merged_into = root
    ORDER BY root, member
    """
)

_ASSERTIONS = text(
    """
    SELECT person_id, CAST(fact_id AS text), kind, lower(valid), known_at, rank, CAST(data AS text)
    FROM assertions
    WHERE person_id = ANY(:person_ids)
      AND (CAST(:known_before AS timestamptz) IS NULL OR known_at < CAST(:known_before AS timestamptz))
    """
)

_APPLICATIONS = text(
    """
    SELECT person_id, application_id, granted, applied_on, decided_on,
        CASE WHEN CAST(:known_on AS date) IS NULL OR withdrawn_on <= :known_on THEN withdrawn_on END AS withdrawn_on,
        CASE status WHEN 'approved' THEN told_at END AS approved_at,
        status IN ('submitted', 'in_review', 'returned') AS is_open
    FROM applications
    WHERE person_id = ANY(:person_ids) AND (granted <> '{}' OR status IN ('submitted', 'in_review', 'returned'))
      AND (CAST(:known_on AS date) IS NULL OR decided_on <= :known_on)
    """
)

_CURRENT = text(
    """
    SELECT DISTINCT ON (person_id, subsidy) person_id, subsidy, version, CAST(schedule AS text) AS schedule,
        stopped_because, died_on
    FROM entitlements
    WHERE person_id = ANY(:person_ids) ORDER BY person_id, subsidy, version DESC
    """
)

_INSERT_ENTITLEMENTS = text(
    """
    INSERT INTO entitlements (person_id, subsidy, version, schedule, stopped_because, died_on, cause, area)
    SELECT person_id, subsidy, version, schedule, stopped_because, died_on, cause, area
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (person_id text, subsidy text, version bigint,
        schedule jsonb, stopped_because text, died_on date, cause text, area text)
    """
)

_SAVE_AREAS = text(
    """
    INSERT INTO persons (person_id, area, lived_in)
    SELECT person_id, area, lived_in
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (person_id text, area text, lived_in text[])
    ON CONFLICT (person_id) DO UPDATE SET area = excluded.area, lived_in = excluded.lived_in
    """
)

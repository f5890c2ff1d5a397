"""Simulations: asked for, then carried out chunk by chunk. Entitlements are neither written nor published."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Transaction, new_id
from libs.common.errors import InvalidInput, NotFound
from libs.common.period import Period
from services.eligibility.columns import columns_of
from services.eligibility.handlers.entitlements import Person, load_persons
from services.eligibility.handlers.policies import load_policy
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.simulation import Change, Effect, Sums, problems, simulate, with_changes

_CHUNK_PERSONS = 2_000


async def request_simulation(tx: Transaction, area: str, period: Period, changes: list[Change], by: str) -> UUID:
    """Stores what is to be tried. InvalidInput names what no parameter can be."""
    wrong = problems(changes)
    if wrong:
        raise InvalidInput(
            "see errors", errors=[{"path": f"changes.{name}", "message": message} for name, message in wrong]
        )
    simulation_id = new_id()
    await tx.connection.execute(
        _REQUEST,
        {
            "simulation_id": simulation_id,
            "area": area,
            "period": str(period),
            "changes": json.dumps(
                [{"name": c.name, "value": c.value, "area": c.area, "since": c.since.isoformat()} for c in changes],
                ensure_ascii=False,
            ),
            "by": by,
        },
    )
    return simulation_id


async def find_simulation(tx: Transaction, simulation_id: UUID) -> Any:
    """The stored simulation. NotFound."""
    row = (await tx.connection.execute(_FIND, {"simulation_id": simulation_id})).one_or_none()
    if row is None:
        raise NotFound("没有这次测算 (no such simulation)")
    return row


async def simulate_chunk(tx: Transaction) -> bool:
    """Judges the next persons of the oldest unfinished simulation; False when there is nothing to do."""
    job = (await tx.connection.execute(_NEXT)).one_or_none()
    if job is None:
        return False
    # The policy of the moment at which it was asked, so that every chunk compares with the same.
    before = await load_policy(tx, job.requested_at)
    after = _changed(before, json.dumps(job.changes, sort_keys=True))
    found = await tx.connection.execute(
        _PERSONS, {"after": job.after_person, "prefix": job.area + "%", "chunk": _CHUNK_PERSONS}
    )
    person_ids = list(found.scalars())
    persons = await load_persons(tx, person_ids) if person_ids else []
    birth_years = await _birth_years(tx, persons)
    sums, effects = await asyncio.to_thread(
        _simulate, persons, birth_years, before, after, job.area, Period.parse(job.period)
    )
    if effects:
        await tx.connection.execute(
            _KEEP_EFFECTS,
            {
                "simulation_id": job.simulation_id,
                "person_ids": [persons[effect.person].person_id for effect in effects],
                "subsidies": [effect.subsidy for effect in effects],
                "before": [effect.before_fen for effect in effects],
                "after": [effect.after_fen for effect in effects],
            },
        )
    total = Sums() if job.sums is None else Sums.from_json(job.sums)
    total.add(sums)
    await tx.connection.execute(
        _ADVANCE,
        {
            "simulation_id": job.simulation_id,
            "after": person_ids[-1] if person_ids else job.after_person,
            "sums": json.dumps(total.as_json()),
            "finished": len(person_ids) < _CHUNK_PERSONS,
        },
    )
    return True


async def _birth_years(tx: Transaction, persons: list[Person]) -> list[int]:
    """By person, as the applications tell them; 0 where none does."""
    members = [member for person in persons for member in person.members]
    found = await tx.connection.execute(_BIRTH_YEARS, {"person_ids": members})
    year_of = {row.person_id: row.birth_year for row in found}
    return [max(year_of.get(member, 0) for member in person.members) for person in persons]


def _simulate(
    persons: list[Person], birth_years: list[int], before: PolicySet, after: PolicySet, area: str, period: Period
) -> tuple[Sums, list[Effect]]:
    facts = columns_of([person.facts() for person in persons])
    return simulate(facts, np.array(birth_years, dtype=np.int64), before, after, area, period)


@lru_cache(maxsize=4)
def _changed(before: PolicySet, changes: str) -> PolicySet:
    """The same set for every chunk, for compiling one takes longer than judging with it."""
    return with_changes(before, (Change(**{**c, "since": date.fromisoformat(c["since"])}) for c in json.loads(changes)))


_REQUEST = text(
    """
    INSERT INTO simulations (simulation_id, area, period, changes, requested_by)
    VALUES (:simulation_id, :area, :period, CAST(:changes AS jsonb), :by)
    """
)

_FIND = text(
    "SELECT simulation_id, area, period, changes, requested_at, sums, finished_at FROM simulations"
    " WHERE simulation_id = :simulation_id"
).columns(changes=JSONB, sums=JSONB)

_NEXT = text(
    """
    SELECT simulation_id, area, period, changes, requested_at, after_person, sums FROM simulations
    WHERE finished_at IS NULL ORDER BY simulation_id LIMIT 1 FOR UPDATE SKIP LOCKED
    """
).columns(changes=JSONB, sums=JSONB)

_PERSONS = text(
    """
    SELECT person_id FROM persons
    WHERE person_id > :after AND merged_into IS NULL
      AND EXISTS (SELECT 1 FROM unnest(lived_in) AS lived (area) WHERE lived.area LIKE :prefix)
    ORDER BY person_id LIMIT :chunk
    """
)

_BIRTH_YEARS = text(
    """
    SELECT person_id, max(CAST(facts ->> 'birth_year' AS int)) AS birth_year FROM applications
    WHERE person_id = ANY(:person_ids) AND facts ->> 'birth_year' IS NOT NULL GROUP BY person_id
    """
)

_KEEP_EFFECTS = text(
    """
    INSERT INTO simulation_effects (simulation_id, person_id, subsidy, before_fen, after_fen)
    SELECT CAST(:simulation_id AS uuid), person_id, subsidy, before_fen, after_fen
    FROM unnest(CAST(:person_ids AS text[]), CAST(:subsidies AS text[]), CAST(:before AS bigint[]),
        CAST(:after AS bigint[])) AS given (person_id, subsidy, before_fen, after_fen)
    """
)

_ADVANCE = text(
    """
    UPDATE simulations SET after_person = :after, sums = CAST(:sums AS jsonb),
        finished_at = CASE WHEN :finished THEN now() END
    WHERE simulation_id = :simulation_id
    """
)

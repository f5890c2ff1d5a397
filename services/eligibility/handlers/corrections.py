"""Correcting local policy that is at odds with the layer above it (notice 2.1), or rests on what is repealed (8.1).

Each such value is a case with an owner and a deadline. It is corrected forward, by a layer of its area that another
person approved; who was refused meanwhile and would not be by the policy in force is listed, to be seen again. What was
paid too much is never taken back by a correction alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Transaction
from libs.common.errors import Conflict, NotFound
from libs.common.events.intake import ApplicationFacts
from libs.common.period import business_date
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.claims import assertions_of
from services.eligibility.determination import Determination
from services.eligibility.facts import Application, Facts
from services.eligibility.folding import fold
from services.eligibility.handlers.entitlements import load_persons
from services.eligibility.policy.lint import conflicts
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.sources import source_of


class StillAtOdds(Conflict):
    """The value is not corrected: no approved layer of its area replaces it."""

    type = "still-at-odds"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who corrects the value by when, and how those whom it touches are seen through the change."""

    owner: str
    due_on: date
    transition: str


async def open_cases(tx: Transaction, policy: PolicySet, on: date) -> int:
    """Opens a case for each stored value that could not be approved on that day and has none open; how many."""
    opened = 0
    for conflict in conflicts(policy, on):
        days = policy.value("correction.deadline_days", conflict.area, on) or 0
        found = await tx.connection.execute(
            _OPEN,
            {
                "area": conflict.area,
                "name": conflict.name,
                "since": conflict.since,
                "source": conflict.source,
                "message": conflict.message,
                "clause": conflict.clause,
                "owner": f"civil_affairs-{conflict.area or 'nation'}",
                "due_on": on + timedelta(days=days),
                "prefix": conflict.area + "%",
                "subsidies": _subsidies_of(conflict.name),
            },
        )
        opened += found.rowcount
    return opened


async def find_case(tx: Transaction, case_id: UUID) -> Mapping[str, Any]:
    """The case. NotFound."""
    found = await tx.connection.execute(_CASE, {"case_id": case_id})
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("没有这项纠正事项 (no such correction case)")
    return dict(row)


async def assign_case(tx: Transaction, case_id: UUID, assignment: Assignment) -> None:
    """Gives the case an owner, a deadline and a transition. Conflict once it is resolved."""
    found = await tx.connection.execute(
        _ASSIGN,
        {
            "case_id": case_id,
            "owner": assignment.owner,
            "due_on": assignment.due_on,
            "transition": assignment.transition,
        },
    )
    if found.rowcount == 0:
        raise Conflict("此纠正事项已经办结 (this case is resolved)")


async def resolve_case(
    tx: Transaction, case: Mapping[str, Any], policy: PolicySet, *, by: str, note: str, on: date
) -> int:
    """Closes a case whose value a later approved layer replaced, and lists whom it had refused; how many they are.

    StillAtOdds where nothing replaces it, Conflict once it is resolved.
    """
    if case["status"] == "resolved":
        raise Conflict("此纠正事项已经办结 (this case is resolved)")
    later = max(
        (
            (parameter.since, layer.policy_id)
            for layer in policy.layers
            for parameter in layer.parameters
            if layer.area == case["area"] and parameter.name == case["name"]
        ),
        default=(on, ""),
    )
    still = {(c.area, c.name, c.since, c.clause) for c in conflicts(policy, max(on, later[0]))}
    if (case["area"], case["name"], case["since"], case["clause"]) in still:
        raise StillAtOdds(f"{case['message']}; approve a layer of area {case['area']} that gives {case['name']} anew")
    corrected_by = later[1] if later[0] > case["since"] else ""
    await tx.connection.execute(
        _RESOLVE, {"case_id": case["case_id"], "by": by, "note": note, "policy_id": corrected_by or None}
    )
    return await _list_wrongly_refused(tx, case, policy)


async def _list_wrongly_refused(tx: Transaction, case: Mapping[str, Any], policy: PolicySet) -> int:
    """Judges the applications that were rejected in the area since the value began, by the policy in force."""
    rejected = list(await tx.connection.execute(_REJECTED, {"prefix": case["area"] + "%", "since": case["since"]}))
    if not rejected:
        return 0
    persons = {
        member: person
        for person in await load_persons(tx, {row.person_id for row in rejected})
        for member in person.members
    }
    facts: list[Facts] = []
    for row in rejected:
        declared = ApplicationFacts.model_validate(row.facts)
        source = source_of(row.channel)
        claims = assertions_of(row.application_id, row.applied_on, declared, row.told_at, source=source, approved=True)
        refused_on = row.decided_on or business_date(row.told_at)
        applications = tuple(Application(subsidy, row.applied_on, refused_on) for subsidy in row.subsidies)
        facts.append(fold([*persons[row.person_id].assertions, *claims], applications))
    judged = Determination(facts, policy)
    found = 0
    for position, row in enumerate(rejected):
        due = [s for s in _subsidies_of(case["name"]) if judged.schedule(position, s).entitlements]
        if due:
            found += 1
            await tx.connection.execute(
                _WRONGLY_REFUSED,
                {
                    "case_id": case["case_id"],
                    "application_id": row.application_id,
                    "person_id": row.person_id,
                    "subsidies": due,
                },
            )
    return found


def _subsidies_of(name: str) -> list[Subsidy]:
    """Which subsidies a parameter touches."""
    return [subsidy for subsidy in SUBSIDIES if name.startswith(f"{subsidy}.")] or list(SUBSIDIES)


_OPEN = text(
    """
    INSERT INTO policy_cases (area, name, since, source, message, clause, owner, due_on, persons_affected)
    SELECT :area, :name, :since, :source, :message, :clause, :owner, :due_on, (
        SELECT count(DISTINCT a.person_id) FROM applications a
        WHERE a.area LIKE :prefix AND a.subsidies && CAST(:subsidies AS text[])
    )
    ON CONFLICT (area, name, since, clause) WHERE status <> 'resolved' DO NOTHING
    """
)

_CASE = text("SELECT * FROM policy_cases WHERE case_id = :case_id FOR UPDATE")

_ASSIGN = text(
    """
    UPDATE policy_cases SET owner = :owner, due_on = :due_on, transition = :transition, status = 'assigned'
    WHERE case_id = :case_id AND status <> 'resolved'
    """
)

_RESOLVE = text(
    """
    UPDATE policy_cases SET status = 'resolved', resolved_by = :by, resolved_at = now(), resolution = :note,
        corrected_by = CAST(:policy_id AS uuid)
    WHERE case_id = :case_id
    """
)

_REJECTED = text(
    """
    SELECT application_id, person_id, channel, subsidies, applied_on, facts, told_at, decided_on FROM applications
    WHERE status = 'rejected' AND area LIKE :prefix AND applied_on >= :since ORDER BY application_id
    """
).columns(facts=JSONB)

_WRONGLY_REFUSED = text(
    """
    INSERT INTO policy_case_persons (case_id, application_id, person_id, subsidies)
    VALUES (:case_id, :application_id, :person_id, :subsidies)
    """
)

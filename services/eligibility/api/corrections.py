"""Local policy at odds with the layer above it, as cases that somebody corrects (notice 2.1, 8.1)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import text

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import Anyone, CivilAffairs
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import Forbidden
from libs.common.web import Tx, router
from services.eligibility.handlers.corrections import Assignment, assign_case, find_case, resolve_case
from services.eligibility.handlers.policies import load_policy
from services.eligibility.policy.lint import conflicts
from services.eligibility.policy.names import NAMES

api = router(prefix="/v1/policies/conflicts", tags=["policies"])


class GivenAssignment(BaseModel):
    """Who corrects the value by when. `transition` says what becomes of those whom it touches meanwhile."""

    owner: str = Field(min_length=1, max_length=200)
    due_on: date
    transition: str = Field(default="", max_length=2000)


class GivenResolution(BaseModel):
    note: str = Field(min_length=1, max_length=2000)


@api.get("")
async def list_conflicts(
    tx: Tx, caller: Anyone, area: Annotated[Area | None, Query()] = None, on: Annotated[date | None, Query()] = None
) -> dict[str, Any]:
    """Stored values that contradict a layer above, or rest on a repealed document, each a case. `at_odds` tells whether
    the value still is, on that day or later; `overdue` whether its deadline has passed."""
    if area is not None:
        _require_kin(caller.area, area)
    day = on or business_today()
    still = {(c.area, c.name, c.since, c.clause) for c in conflicts(await load_policy(tx), day)}
    found = rows(await tx.connection.execute(_CASES))
    return {
        "items": [
            {
                **case,
                "layer": case["area"] or "nation",
                "title": NAMES[case["name"]].title if case["name"] in NAMES else case["name"],
                "at_odds": (case["area"], case["name"], case["since"], case["clause"]) in still,
                "overdue": case["status"] != "resolved" and case["due_on"] < day,
            }
            for case in found
            if _kin(case["area"], caller.area) and (area is None or _kin(case["area"], area))
        ],
        "next_cursor": None,
    }


@api.get("/{case_id}")
async def show_conflict(case_id: UUID, tx: Tx, caller: CivilAffairs) -> dict[str, Any]:
    """One case with the applications that were wrongly refused, to be seen again."""
    case = await find_case(tx, case_id)
    caller.require_sight(case["area"], "correction case")
    refused = rows(await tx.connection.execute(_REFUSED, {"case_id": case_id}))
    return {**case, "wrongly_refused": refused}


@api.post("/{case_id}/assignment")
async def assign(case_id: UUID, body: GivenAssignment, tx: Tx, caller: CivilAffairs) -> dict[str, Any]:
    """Gives a case its owner, deadline and transition."""
    case = await find_case(tx, case_id)
    caller.require_sight(case["area"], "correction case")
    await assign_case(tx, case_id, Assignment(body.owner, body.due_on, body.transition))
    await record(tx, caller, "assign policy correction", str(case_id), area=case["area"], owner=body.owner)
    return {"case_id": case_id, "status": "assigned"}


@api.post("/{case_id}/resolution")
async def resolve(case_id: UUID, body: GivenResolution, tx: Tx, caller: CivilAffairs) -> dict[str, Any]:
    """Closes a case that an approved layer of its area has corrected; lists whom the old value had refused."""
    case = await find_case(tx, case_id)
    caller.require_sight(case["area"], "correction case")
    policy = await load_policy(tx)
    refused = await resolve_case(tx, case, policy, by=caller.sub, note=body.note, on=business_today())
    await record(tx, caller, "resolve policy correction", str(case_id), area=case["area"], reason=body.note)
    return {"case_id": case_id, "status": "resolved", "wrongly_refused": refused}


def _kin(one: str, other: str) -> bool:
    """Whether one area lies in the other: policy above and below is everybody's concern."""
    return one.startswith(other) or other.startswith(one)


def _require_kin(own: str, area: str) -> None:
    if not _kin(own, area):
        raise Forbidden(f"{area} 不在您的管辖地区 {own} 内 (is outside your area)")


_CASES = text(
    """
    SELECT c.case_id, c.area, c.name, c.since, c.source, c.message, c.clause, c.status, c.owner, c.due_on, c.transition,
        c.persons_affected, c.opened_at, c.resolved_by, c.resolved_at, c.resolution, c.corrected_by,
        (SELECT count(*) FROM policy_case_persons p WHERE p.case_id = c.case_id) AS wrongly_refused
    FROM policy_cases c ORDER BY c.case_id DESC LIMIT 500
    """
)

_REFUSED = text(
    "SELECT application_id, person_id, subsidies FROM policy_case_persons WHERE case_id = :case_id"
    " ORDER BY application_id LIMIT 500"
)

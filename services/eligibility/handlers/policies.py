"""Policy layers: proposed by one person, approved by another, and then everybody they touch is judged anew."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, FourEyes, InvalidInput, NotFound
from libs.common.events.eligibility import PolicyReevaluated
from services.eligibility.policy.lint import Problem, check_layer
from services.eligibility.policy.parameters import PolicySet, read_layer, shipped

_POLICY_LOCK = "policies"


class LayerRefused(InvalidInput):
    """This policy layer cannot be taken."""

    type = "layer-refused"


async def load_policy(tx: Transaction) -> PolicySet:
    """The policy in force: what the program brings and every approved layer. Read it behind the persons' locks, so that
    a re-evaluation never meets a judgement by an older policy."""
    known = tuple((await tx.connection.execute(_APPROVED)).scalars())
    if known not in _assembled:
        layers = (await tx.connection.execute(_LAYERS, {"known": list(known)})).scalars()
        _assembled[known] = shipped().with_layers(read_layer(layer) for layer in layers)
    return _assembled[known]


_assembled: dict[tuple[UUID, ...], PolicySet] = {}
"""By the approved layers' ids, which name their content for ever."""


async def propose_policy(tx: Transaction, layer: str, by: str) -> dict[str, Any]:
    """Stores a layer that has no problems; LayerRefused lists what breaks which clause."""
    _refuse(check_layer(layer, await load_policy(tx)))
    read = read_layer(layer)
    policy_id = new_id()
    await tx.connection.execute(
        text(
            "INSERT INTO policies (policy_id, area, title, layer, since, status, proposed_by)"
            " VALUES (:policy_id, :area, :title, :layer, :since, 'proposed', :by)"
        ),
        {
            "policy_id": policy_id,
            "area": read.area,
            "title": read.title,
            "layer": layer,
            "since": min((parameter.since for parameter in read.parameters), default=date.max),
            "by": by,
        },
    )
    return {"policy_id": policy_id, "status": "proposed", "area": read.area}


async def find_policy(tx: Transaction, policy_id: UUID) -> Any:
    """The stored layer, locked against a second approval. NotFound."""
    await tx.lock(_POLICY_LOCK)
    found = await tx.connection.execute(
        text("SELECT policy_id, area, title, layer, status, proposed_by FROM policies WHERE policy_id = :id"),
        {"id": policy_id},
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("no such policy")
    return row


async def approve_policy(tx: Transaction, policy_id: UUID, by: str) -> dict[str, Any]:
    """Puts a layer in force and starts the re-evaluation of everybody it can touch. Conflict if it is already in force,
    FourEyes for who proposed it, LayerRefused where other layers have changed meanwhile."""
    row = await find_policy(tx, policy_id)
    if row.status != "proposed":
        raise Conflict("this policy is already approved")
    if row.proposed_by == by:
        raise FourEyes("who proposed a policy cannot approve it")
    _refuse(check_layer(row.layer, await load_policy(tx)))
    await tx.connection.execute(
        text(
            "UPDATE policies SET status = 'approved', approved_by = :by, approved_at = now(),"
            " approval_no = (SELECT coalesce(max(approval_no), 0) + 1 FROM policies) WHERE policy_id = :id"
        ),
        {"id": policy_id, "by": by},
    )
    await tx.connection.execute(
        text("INSERT INTO reevaluations (policy_id, area) VALUES (:id, :area)"), {"id": policy_id, "area": row.area}
    )
    tx.publish(PolicyReevaluated(policy_id=policy_id, version=1, area=row.area, status="started", persons=0, changed=0))
    return {"policy_id": policy_id, "status": "approved", "area": row.area, "reevaluation": "started"}


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise LayerRefused(
            "; ".join(problem.message for problem in problems[:5]),
            errors=[{"path": problem.path, "message": _sentence(problem)} for problem in problems],
        )


def _sentence(problem: Problem) -> str:
    clause = f" ({problem.clause})" if problem.clause else ""
    place = f"line {problem.line}: " if problem.line else ""
    return f"{place}{problem.message}{clause}"


_APPROVED = text("SELECT policy_id FROM policies WHERE status = 'approved' ORDER BY approval_no")
_LAYERS = text("SELECT layer FROM policies WHERE policy_id = ANY(:known) ORDER BY approval_no")

"""Policy layers: proposed by one person, approved by another, and then everybody they touch is judged anew."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction, new_id
from libs.common.errors import Conflict, FourEyes, InvalidInput, NotFound
from libs.common.events.eligibility import PolicyReevaluated
from libs.common.period import business_date
from services.eligibility.handlers.corrections import open_cases
from services.eligibility.handlers.policies import (
    POLICY_LOCK,
    let_judgements_end,
    let_release_judge,
    load_policy,
    tell_policies,
)
from services.eligibility.policy.eras import JUDGED_BY
from services.eligibility.policy.lint import Problem, check_layer
from services.eligibility.policy.parameters import PolicySet, read_layer


class LayerRefused(InvalidInput):
    """This policy layer cannot be taken."""

    type = "layer-refused"


async def propose_policy(tx: Transaction, layer: str, by: str, on: date) -> dict[str, Any]:
    """Stores a layer that has no problems on that day; LayerRefused lists what breaks which clause."""
    _refuse(check_layer(layer, await load_policy(tx), on))
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
    await tx.lock(POLICY_LOCK)
    found = await tx.connection.execute(
        text(
            "SELECT policy_id, area, title, layer, status, proposed_by, proposed_at FROM policies WHERE policy_id = :id"
        ),
        {"id": policy_id},
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("没有这份政策文件 (no such policy)")
    return row


async def approve_policy(tx: Transaction, policy_id: UUID, by: str, on: date) -> dict[str, Any]:
    """Puts a layer in force and starts the re-evaluation of everybody it can touch: nobody, if none of its names
    decides who is entitled (texts of the guide, deadlines). Conflict if it is already in force, FourEyes for who
    proposed it, LayerRefused where other layers have changed meanwhile."""
    row = await find_policy(tx, policy_id)
    if row.status != "proposed":
        raise Conflict("此政策文件已经批准 (this policy is already approved)")
    if row.proposed_by == by:
        raise FourEyes("提出的人不能自己批准 (who proposed a policy cannot approve it)")
    # Held against the day of its proposal: while it waits for approval a value does not become a backdated one.
    _refuse(check_layer(row.layer, await load_policy(tx), min(on, business_date(row.proposed_at))))
    await tx.connection.execute(
        text(
            "UPDATE policies SET status = 'approved', approved_by = :by, approved_at = now(),"
            " approval_no = (SELECT coalesce(max(approval_no), 0) + 1 FROM policies) WHERE policy_id = :id"
        ),
        {"id": policy_id, "by": by},
    )
    policy = await load_policy(tx)
    await _keep_values(tx, policy, policy_id, row.area)
    await tell_policies(tx, policy)
    await open_cases(tx, policy, on)
    judges = any(parameter.name in JUDGED_BY for parameter in read_layer(row.layer).parameters)
    if judges:
        await _start_reevaluation(tx, policy_id, row.area)
        await let_judgements_end(tx)
    return {
        "policy_id": policy_id,
        "status": "approved",
        "area": row.area,
        "reevaluation": "started" if judges else "not_needed",
    }


async def follow_release(tx: Transaction) -> None:
    """A release may bring other values than the one before, or another judgement: other services are told of them, and
    everybody whom they can touch is judged anew, as by a layer that was approved. Processes of the release before run
    on until they are replaced, and judge nobody any more."""
    changed = await tell_policies(tx, await load_policy(tx))
    await let_release_judge(tx)
    for area in changed:
        if not any(area.startswith(other) for other in changed if other != area):
            await _start_reevaluation(tx, new_id(), area)
    await let_judgements_end(tx)


async def _start_reevaluation(tx: Transaction, policy_id: UUID, area: str) -> None:
    await tx.connection.execute(
        text("INSERT INTO reevaluations (policy_id, area) VALUES (:id, :area)"), {"id": policy_id, "area": area}
    )
    tx.publish(PolicyReevaluated(policy_id=policy_id, version=1, area=area, status="started", persons=0, changed=0))


async def _keep_values(tx: Transaction, policy: PolicySet, policy_id: UUID, area: str) -> None:
    """Writes down which value holds when, for the names that this layer decides; what was known stays readable."""
    held = [p for layer in policy.layers if layer.area == area and layer.policy_id for p in layer.parameters]
    own = next(layer for layer in policy.layers if layer.policy_id == str(policy_id))
    policy_of = {id(p): layer.policy_id for layer in policy.layers for p in layer.parameters}
    names = {parameter.name for parameter in own.parameters}
    standing = [p for p in held if p.name in names and policy.stands(p)]
    await tx.connection.execute(_FORGET_VALUES, {"area": area, "names": sorted(names)})
    for parameter in standing:
        await tx.connection.execute(
            _KEEP_VALUE,
            {
                "policy_id": policy_of[id(parameter)],
                "area": area,
                "name": parameter.name,
                "value": json.dumps(parameter.value, ensure_ascii=False),
                "since": parameter.since,
                "until": policy.until(parameter),
            },
        )


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


_FORGET_VALUES = text(
    """
    UPDATE policy_values SET known = tstzrange(lower(known), now())
    WHERE area = :area AND name = ANY(:names) AND upper_inf(known)
    """
)

_KEEP_VALUE = text(
    """
    INSERT INTO policy_values (policy_id, area, name, value, valid, known)
    VALUES (CAST(:policy_id AS uuid), :area, :name, CAST(:value AS jsonb), daterange(:since, :until, '[]'),
        tstzrange(now(), NULL))
    """
)

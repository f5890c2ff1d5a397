"""Policy in the open: what is in force where, and how a layer comes into force."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import Anyone, CivilAffairs
from libs.common.clock import business_today
from libs.common.web import Tx, router
from services.eligibility.handlers.layers import approve_policy, find_policy, propose_policy
from services.eligibility.handlers.policies import load_policy
from services.eligibility.policy.lint import check_layer
from services.eligibility.policy.names import NAMES
from services.eligibility.policy.parameters import BadLayer, read_layer
from services.eligibility.publication import history, in_words

api = router(prefix="/v1/policies", tags=["policies"])


@api.get("")
async def list_parameters(
    tx: Tx, area: Annotated[Area, Query()], on: Annotated[date | None, Query()] = None
) -> dict[str, Any]:
    """Every parameter in force in an area on a day, with what it rests on. Public (notice 1.1)."""
    day = on or business_today()
    policy = await load_policy(tx)
    return {
        "area": area,
        "on": day,
        "policy_version": policy.version(area),
        "items": [
            {
                "name": parameter.name,
                "title": NAMES[parameter.name].title,
                "value": parameter.value,
                "words": in_words(parameter.name, parameter.value),
                "unit": parameter.unit,
                "layer": parameter.layer or "nation",
                "source": parameter.source,
                "clause": parameter.clause,
                "since": parameter.since,
                "confidence": parameter.confidence,
                "sample": parameter.sample,
            }
            for parameter in policy.in_force(area, day)
        ],
        "next_cursor": None,
    }


@api.post("/check")
async def check(request: Request, tx: Tx, caller: Anyone) -> dict[str, Any]:
    """What is wrong with a layer's YAML, each problem with its place and the clause it breaks. Stores nothing."""
    problems = check_layer(await _layer_of(request), await load_policy(tx), business_today())
    return {
        "ok": not problems,
        "problems": [
            {"path": problem.path, "line": problem.line, "message": problem.message, "clause": problem.clause}
            for problem in problems
        ],
    }


@api.get("/history")
async def list_changes(
    tx: Tx, area: Annotated[Area, Query()], name: Annotated[str | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    """Every version of every value that could ever decide in an area, newest first, with the day on which it was
    published; null where that was before this system and is not recorded. Public (notice 1.1)."""
    policy = await load_policy(tx)
    return {"area": area, "items": history(policy, area, name), "next_cursor": None}


@api.post("", status_code=201)
async def propose(request: Request, tx: Tx, caller: CivilAffairs) -> dict[str, Any]:
    """Proposes a layer for an area; another person of civil affairs puts it in force."""
    layer = await _layer_of(request)
    with suppress(BadLayer):  # `propose_policy` refuses that with its place
        caller.require_area(read_layer(layer).area)
    proposed = await propose_policy(tx, layer, caller.sub, business_today())
    await record(tx, caller, "propose policy", str(proposed["policy_id"]), area=proposed["area"])
    return proposed


@api.post("/{policy_id}/approval", status_code=202)
async def approve(policy_id: UUID, tx: Tx, caller: CivilAffairs) -> dict[str, Any]:
    """Puts a layer in force. Everybody it touches is judged anew, for past months too, as a job; `reevaluation` is
    `not_needed` where it only has texts of the guide or deadlines, by which nobody is judged."""
    caller.require_sight((await find_policy(tx, policy_id)).area, "policy")
    approved = await approve_policy(tx, policy_id, caller.sub, business_today())
    await record(tx, caller, "approve policy", str(policy_id), area=approved["area"])
    return approved


async def _layer_of(request: Request) -> str:
    """The body: a layer's YAML (or JSON) as it is, or as text in the member `yaml`, `layer` or `text` of an object."""
    body = (await request.body()).decode("utf-8", errors="replace")
    try:
        content = json.loads(body)
    except ValueError:
        return body
    if isinstance(content, dict) and "parameters" not in content:
        given = next((content[member] for member in ("yaml", "layer", "text") if member in content), None)
        return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return body

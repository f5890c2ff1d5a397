"""What was told of each area's policy, as it lies in the table, for whoever acts on it or prints it."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import func, literal, select, text

from libs.common.database import Transaction, Unforeseen, rows
from libs.common.errors import NotFound
from libs.common.parameters import Values, values_told
from libs.common.policies import policies
from services.intake.parameters import AreaParameters


async def parameters_of(tx: Transaction, area: str) -> AreaParameters:
    """What holds in an area; what was told is read again only when something newer was."""
    nearest = (await tx.connection.execute(_NEAREST, {"area": area})).one_or_none()
    return await parameters_told(tx, area, *(nearest or (None, None)))


async def parameters_told(
    tx: Transaction, area: str, nearest: str | None, policy_version: str | None
) -> AreaParameters:
    """What holds in an area whose policy, or that of the nearest area around it, has this version now."""
    if (nearest, policy_version) not in _told:
        row = (await tx.connection.execute(select(policies).where(policies.c.area == nearest))).mappings().one()
        for key in [key for key in _told if key[0] == nearest]:
            del _told[key]  # what was told before is of no more use
        policy_version = row["policy_version"]
        _told[nearest, policy_version] = values_told(row["values"])
    _read[area] = nearest, policy_version
    return AreaParameters(area, _told[nearest, policy_version])


def parameters_read(area: str) -> tuple[AreaParameters, str | None, str | None]:
    """What held in an area when it was read last; whose policy that was, and which version. Unforeseen if there is
    nothing of the kind."""
    read = _read.get(area)
    if read is None:
        raise Unforeseen
    return parameters_kept(area, *read), *read


def parameters_kept(area: str, nearest: str | None, policy_version: str | None) -> AreaParameters:
    """What holds in an area by a policy that was read before. Unforeseen if it was not, or is no longer kept."""
    if (nearest, policy_version) not in _told:
        raise Unforeseen
    return AreaParameters(area, _told[nearest, policy_version])


_told: dict[tuple[str | None, str | None], Values] = {(None, None): {}}
"""By area and the version of its policy, which names its content; nothing where no policy was told."""

_read: dict[str, tuple[str | None, str | None]] = {}
"""By area, whose policy held there, and which version, when it was read last."""

_NEAREST = text("SELECT area, policy_version FROM nearest_policy(:area)")


async def policy_of(tx: Transaction, area: str, on: date) -> dict[str, Any]:
    """The parameters in force on a day: those of the nearest area, at or above, with policy of its own (`layer`).

    NotFound before any was told."""
    nearest = (
        select(policies)
        .where(literal(area).startswith(policies.c.area))
        .order_by(func.length(policies.c.area).desc())
        .limit(1)
    )
    found = rows(await tx.connection.execute(nearest))
    if not found:
        raise NotFound("no policy is known here yet")
    in_force = {
        value["parameter"]: value
        for value in sorted(found[0]["values"], key=lambda value: str(value["since"]))
        if date.fromisoformat(value["since"]) <= on
    }
    return {
        "layer": found[0]["area"],
        "policy_version": found[0]["policy_version"],
        "parameters": [
            {"name": name, "value": value["value"], "since": date.fromisoformat(value["since"])}
            for name, value in sorted(in_force.items())
        ],
    }

"""The policy of every area as eligibility tells it (`policy.changed`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert

from libs.common.consumer import Received
from libs.common.database import Transaction, rows
from libs.common.errors import NotFound
from services.intake.tables import policies


async def note_policies(tx: Transaction, received: Sequence[Received]) -> None:
    """Keeps the newest values of each area."""
    newest = {item.data.area: item.data for item in sorted(received, key=lambda item: item.data.version)}
    statement = insert(policies)
    await tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["area"],
            set_={name: statement.excluded[name] for name in ("version", "policy_version", "values")},
            where=policies.c.version < statement.excluded.version,
        ),
        [
            {
                "area": area,
                "version": data.version,
                "policy_version": data.policy_version,
                "values": data.model_dump(mode="json")["values"],
            }
            for area, data in sorted(newest.items())
        ],
    )


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

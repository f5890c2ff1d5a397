"""The parameters as eligibility tells them, over those that the program brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from libs.common.consumer import Received
from libs.common.database import Transaction
from services.matching.parameters import ParameterSet
from services.matching.tables import policy_values


async def note_policies(tx: Transaction, received: Sequence[Received]) -> None:
    """Keeps the newest values of each area."""
    newest = {item.data.area: item.data for item in sorted(received, key=lambda item: item.data.version)}
    statement = insert(policy_values)
    await tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["area"],
            set_={"version": statement.excluded.version, "told": statement.excluded.told},
            where=policy_values.c.version < statement.excluded.version,
        ),
        [
            {"area": area, "version": data.version, "told": data.model_dump(mode="json")["values"]}
            for area, data in sorted(newest.items())
        ],
    )


async def load_parameters(tx: Transaction) -> ParameterSet:
    """What holds now: read again only when something newer was told."""
    found = await tx.connection.execute(select(policy_values.c.area, policy_values.c.version))
    known = frozenset((row.area, row.version) for row in found)
    if known not in _assembled:
        rows = await tx.connection.execute(select(policy_values))
        _assembled.clear()  # what was told before is of no more use
        _assembled[known] = ParameterSet({row.area: _by_name(row.told) for row in rows})
    return _assembled[known]


def _by_name(told: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[date, Any]]]:
    values: dict[str, list[tuple[date, Any]]] = {}
    for entry in told:
        values.setdefault(entry["parameter"], []).append((date.fromisoformat(entry["since"]), entry["value"]))
    return values


_assembled: dict[frozenset[tuple[str, int]], ParameterSet] = {}

"""The parameters as eligibility tells them (`policy.changed`), over those that the program brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, get_args

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from libs.common.consumer import Received
from libs.common.database import Transaction
from services.notification.parameters import Name, Parameters
from services.notification.tables import policy_values

_NAMES = frozenset(get_args(Name))


async def note_policies(tx: Transaction, received: Sequence[Received]) -> None:
    """Keeps the newest values of each area, of the names that matter here."""
    newest = {item.data.area: item.data for item in sorted(received, key=lambda item: item.data.version)}
    statement = insert(policy_values)
    await tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["area"],
            set_={"version": statement.excluded.version, "told": statement.excluded.told},
            where=policy_values.c.version < statement.excluded.version,
        ),
        [
            {
                "area": area,
                "version": data.version,
                "told": [value.model_dump(mode="json") for value in data.values if value.parameter in _NAMES],
            }
            for area, data in sorted(newest.items())
        ],
    )


async def parameters_in_force(tx: Transaction) -> Parameters:
    """What was told up to now; read whole only when something newer was."""
    found = await tx.connection.execute(select(policy_values.c.area, policy_values.c.version))
    known = frozenset((row.area, row.version) for row in found)
    if known not in _read:
        rows = await tx.connection.execute(select(policy_values))
        _read.clear()  # what was told before is of no more use
        _read[known] = Parameters({row.area: _by_name(row.told) for row in rows})
    return _read[known]


def _by_name(told: Sequence[Mapping[str, Any]]) -> dict[Name, list[tuple[date, int]]]:
    values: dict[Name, list[tuple[date, int]]] = {}
    for entry in sorted(told, key=lambda entry: str(entry["since"])):
        values.setdefault(entry["parameter"], []).append((date.fromisoformat(entry["since"]), int(entry["value"])))
    return values


_read: dict[frozenset[tuple[str, int]], Parameters] = {}

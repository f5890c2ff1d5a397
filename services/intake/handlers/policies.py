"""The policy of every area as eligibility tells it (`policy.changed`)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql import insert

from libs.common.consumer import Received
from libs.common.database import Transaction
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

"""The policy of every area as eligibility tells it (`policy.changed`), kept by each service that acts on parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from libs.common.database import Transaction
from libs.common.parameters import Values, values_told
from libs.common.projection import Received

policies = Table(
    "policies",
    MetaData(),
    Column("area", Text, primary_key=True),
    Column("version", BigInteger),
    Column("policy_version", Text),
    Column("values", JSONB),
)
"""In the database of each such service: the newest that was told of each area."""


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


async def policies_told(tx: Transaction) -> Mapping[str, Values]:
    """What was told up to now, by area; read whole only when something newer was."""
    found = await tx.connection.execute(select(policies.c.area, policies.c.version, policies.c.policy_version))
    known = frozenset((row.area, row.version, row.policy_version) for row in found)
    if known not in _read:
        told = (await tx.connection.execute(select(policies))).mappings()
        _read.clear()  # what was told before is of no more use
        _read[known] = {row["area"]: values_told(row["values"]) for row in told}
    return _read[known]


_read: dict[frozenset[tuple[str, int, str]], Mapping[str, Values]] = {}
"""By the areas and the versions of what was told of each."""

"""How applications are filed: what is known of their persons, behind their locks, and all that filing writes, for many
persons in one round trip each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.period import Period
from libs.common.vocabulary import Subsidy
from services.intake.application_records import Filed, application_row
from services.intake.declarations import Declaration
from services.intake.errors import AlreadyApplied
from services.intake.parameters import Parameters
from services.intake.person_records import person_in, person_row
from services.intake.persons import Person
from services.intake.policy_records import parameters_told
from services.intake.tables import persons
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of somebody who applies. `taken`: their subsidies that are open or granted, by which application;
    `ended`: those granted whose last month is over, which stand in nobody's way."""

    row: Mapping[str, Any] | None
    has_own_card: bool
    taken: Mapping[Subsidy, UUID]
    ended: Mapping[Subsidy, UUID]
    parameters: Parameters

    def person(self, vault: Vault) -> Person | None:
        """Who intake knows them as, if at all. PersonMerged when they go on under another id."""
        return None if self.row is None else person_in(vault, self.row)

    def require_free(self, subsidies: Sequence[Subsidy]) -> None:
        """AlreadyApplied when one of the subsidies is open or granted."""
        for subsidy in sorted(subsidies):
            if subsidy in self.taken:
                raise AlreadyApplied(self.taken[subsidy], subsidy)


@dataclass(frozen=True, slots=True)
class Filing:
    """One application to be filed, and its person where something about them is new."""

    filed: Filed
    declaration: Declaration
    person: Person | None


async def standings(tx: Transaction, areas: Mapping[str, str], *, on: date) -> dict[str, Standing]:
    """Where these persons stand who apply in these areas, by person. They are locked until the transaction ends."""
    asked = {"ids": list(areas), "areas": list(areas.values()), "this_period": Period.of(on).first_day}
    found = await tx.connection.execute(_BEFORE_FILING, asked)
    tx.holds(*areas)
    standing: dict[str, Standing] = {}
    for row in found.all():
        taken = row.taken or []
        standing[row.id] = Standing(
            row=row.known,
            has_own_card=row.has_own_card,
            taken={item["subsidy"]: item["application_id"] for item in taken if not item["has_ended"]},
            ended={item["subsidy"]: item["application_id"] for item in taken if item["has_ended"]},
            parameters=await parameters_told(tx, areas[row.id], row.policy_area, row.policy_version),
        )
    return standing


async def file(tx: Transaction, vault: Vault, filings: Sequence[Filing]) -> None:
    """Writes the applications with their subsidies, and their persons. Each person must be locked and free."""
    known = [person_row(vault, filing.person) | {"created_at": tx.now} for filing in filings if filing.person]
    applied = [application_row(tx, vault, filing.filed, filing.declaration) for filing in filings]
    await tx.connection.execute(_FILE, {"persons": _json(known), "applications": _json(applied)})


async def note_ended(tx: Transaction, ended: Mapping[Subsidy, UUID], subsidies: Sequence[Subsidy]) -> None:
    """Notes of those applied for anew that what was granted before is over."""
    for subsidy in set(subsidies) & set(ended):
        await tx.connection.execute(_END, {"application_id": ended[subsidy], "subsidy": subsidy})


def _json(written: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(written, ensure_ascii=False, default=str)


_BEFORE_FILING = text("SELECT * FROM before_filing(:ids, :areas, :this_period)")
_END = text(
    "UPDATE applied_subsidies SET state = 'ended' WHERE application_id = :application_id AND subsidy = :subsidy"
)
_REPLACED = ", ".join(
    f"{column.name} = excluded.{column.name}"
    for column in persons.c
    if column.name not in ("person_id", "created_at", "merged_into")
)
_FILE = text(
    f"""
    WITH person AS (
        INSERT INTO persons SELECT * FROM jsonb_populate_recordset(NULL::persons, CAST(:persons AS jsonb))
        ON CONFLICT (person_id) DO UPDATE SET {_REPLACED}),
    filed AS (
        INSERT INTO applications
        SELECT * FROM jsonb_populate_recordset(NULL::applications, CAST(:applications AS jsonb))
        RETURNING application_id, person_id, subsidies)
    INSERT INTO applied_subsidies (application_id, person_id, subsidy, state)
    SELECT application_id, person_id, unnest(subsidies), 'open' FROM filed
    """  # noqa: S608
)

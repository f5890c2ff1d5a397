"""How applications are filed: what is known of their persons, behind their locks, in one round trip for many persons;
and all that filing writes, with the commit. That somebody is new is foreseen, and made sure of as it is written; of who
is not, what the database then tells is gone by, and made sure of in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text

from libs.common.database import Appended, Filled, Transaction
from libs.common.period import Period
from libs.common.vocabulary import Subsidy
from services.intake.application_records import Filed, application_row
from services.intake.declarations import Declaration
from services.intake.errors import AlreadyApplied
from services.intake.parameters import AreaParameters
from services.intake.person_records import person_in, person_row
from services.intake.persons import Person
from services.intake.policy_records import parameters_kept, parameters_read, parameters_told
from services.intake.tables import applications, persons
from services.intake.vault import Vault


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of somebody who applies. `taken`: their subsidies that are open or granted, by which application;
    `ended`: those granted whose last month is over, which stand in nobody's way."""

    row: Mapping[str, Any] | None
    has_own_card: bool
    taken: Mapping[Subsidy, UUID]
    ended: Mapping[Subsidy, UUID]
    parameters: AreaParameters

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
    this_month = Period.of(on).first_day
    if tx.foresees:
        return _supposed(tx, areas, this_month)
    found = await tx.fetch(_BEFORE_FILING, list(areas), list(areas.values()), this_month)
    tx.holds(*areas)
    return {
        row["id"]: _standing(
            row, await parameters_told(tx, areas[row["id"]], row["policy_area"], row["policy_version"])
        )
        for row in found
    }


def _supposed(tx: Transaction, areas: Mapping[str, str], this_month: date) -> dict[str, Standing]:
    """Where they stand by what the database has just found; before it has, as if nobody knew them, by the policy that
    was read last."""
    if tx.found is None:
        parameters, *policy = zip(*(parameters_read(area) for area in areas.values()), strict=True)
        supposed = {
            person_id: Standing(row=None, has_own_card=False, taken={}, ended={}, parameters=one)
            for person_id, one in zip(areas, parameters, strict=True)
        }
    else:
        policy = [tuple(row[name] for row in tx.found) for name in ("policy_area", "policy_version")]
        supposed = {
            row["id"]: _standing(row, parameters_kept(areas[row["id"]], row["policy_area"], row["policy_version"]))
            for row in tx.found
        }
    found = None if tx.found is None else to_json(tx.found).decode()
    tx.provided("standing_otherwise", list(areas), list(areas.values()), *policy, this_month, found)
    return supposed


def _standing(row: Mapping[str, Any], parameters: AreaParameters) -> Standing:
    taken = row["taken"] or []
    return Standing(
        row=row["known"],
        has_own_card=row["has_own_card"],
        taken={item["subsidy"]: item["application_id"] for item in taken if not item["has_ended"]},
        ended={item["subsidy"]: item["application_id"] for item in taken if item["has_ended"]},
        parameters=parameters,
    )


def file(tx: Transaction, vault: Vault, filing: Filing) -> None:
    """Queues the application with its subsidies, and its person. The person must be locked and free."""
    if filing.person is not None:
        tx.append(_PERSONS, person_row(vault, filing.person) | {"created_at": tx.now})
    application = filing.filed.application
    tx.append(_APPLICATIONS, application_row(vault, filing.filed, filing.declaration))
    for subsidy in application.subsidies:
        applied = {"application_id": application.application_id, "subsidy": subsidy}
        tx.append(_APPLIED_SUBSIDIES, {**applied, "person_id": application.person_id, "state": "open"})


async def note_ended(tx: Transaction, ended: Mapping[Subsidy, UUID], subsidies: Sequence[Subsidy]) -> None:
    """Notes of those applied for anew that what was granted before is over."""
    for subsidy in set(subsidies) & set(ended):
        await tx.connection.execute(_END, {"application_id": ended[subsidy], "subsidy": subsidy})


_BEFORE_FILING = "SELECT * FROM before_filing($1, $2, $3)"
_END = text(
    "UPDATE applied_subsidies SET state = 'ended' WHERE application_id = :application_id AND subsidy = :subsidy"
)
_PERSON_COLUMNS = [column.name for column in persons.c if column.name != "merged_into"]
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in _PERSON_COLUMNS if name != "created_at")
_PERSONS = Filled("persons", _PERSON_COLUMNS, f"ON CONFLICT (person_id) DO UPDATE SET {_REPLACED}")
_APPLICATIONS = Filled("applications", [column.name for column in applications.c])
_APPLIED_SUBSIDIES = Appended(
    "applied_subsidies", {"application_id": "uuid", "subsidy": "text", "person_id": "text", "state": "text"}
)

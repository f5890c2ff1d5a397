"""What matching keeps of the others' events: who receives what, and who has applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert

from libs.common.consumer import Received
from libs.common.database import Transaction
from services.matching.handlers.findings import place_findings
from services.matching.tables import applications, roster


async def note_entitlements(tx: Transaction, received: Sequence[Received]) -> None:
    """The roster: the newest schedule of each person and subsidy."""
    rows = [
        {
            "person_id": item.data.person_id,
            "subsidy": item.data.subsidy,
            "version": item.data.version,
            "area": item.data.area,
            "schedule": item.data.model_dump(mode="json", by_alias=True)["schedule"],
            "stopped_because": item.data.stopped_because,
        }
        for item in received
    ]
    await _keep_newest(tx, roster, rows)
    await place_findings(tx, {row["person_id"]: row["area"] for row in rows})


async def note_applications(tx: Transaction, received: Sequence[Received]) -> None:
    """Applications as they stand, with the certificate as far as it is declared or confirmed."""
    rows = [
        {
            "application_id": item.data.application_id,
            "person_id": item.data.person_id,
            "version": item.data.version,
            "area": item.data.area,
            "status": item.data.status,
            "applied_on": item.data.applied_on,
            "certificate": item.data.facts.certificate and item.data.facts.certificate.model_dump(mode="json"),
        }
        for item in received
    ]
    await _keep_newest(tx, applications, rows)
    await place_findings(tx, {row["person_id"]: row["area"] for row in rows})


async def _keep_newest(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    keys = [column.name for column in table.primary_key]
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["version"]):
        newest[tuple(row[key] for key in keys)] = row
    statement = insert(table)
    changes = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    await tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=keys, set_=changes, where=table.c.version < statement.excluded.version
        ),
        [newest[key] for key in sorted(newest, key=str)],
    )

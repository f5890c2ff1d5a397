"""What matching keeps of the others' events: who receives what, and who has applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Table

from libs.common.database import Transaction, replacing
from libs.common.events.eligibility import CandidatePrescreened, EntitlementChanged
from libs.common.events.intake import ContactChanged
from libs.common.period import business_date
from libs.common.projection import Received
from services.matching.handlers.findings import place_findings
from services.matching.handlers.outreach import (
    MOVE,
    Moved,
    answer_outreach,
    identify_moved,
    note_prescreenings,
)
from services.matching.handlers.persons import note_birth_years, survivors_of
from services.matching.tables import applications, contact_names, roster


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
    moved = {
        item.data.person_id: Moved(item.data.area, business_date(item.envelope.time))
        for item in received
        if item.data.cause == MOVE and item.data.schedule and item.data.area[:2] == item.data.schedule[-1].area[:2]
    }
    await tx.lock(*moved)
    await _keep_newest(tx, roster, rows)
    await place_findings(tx, {row["person_id"]: row["area"] for row in rows})
    if moved:
        await identify_moved(tx, moved)


async def follow_eligibility(tx: Transaction, received: Sequence[Received]) -> None:
    """Entitlements first: who turns out to receive what a pre-screening offers needs no reminder."""
    entitled = [item for item in received if isinstance(item.data, EntitlementChanged)]
    if entitled:
        await note_entitlements(tx, entitled)
    prescreened = [item for item in received if isinstance(item.data, CandidatePrescreened)]
    if prescreened:
        await note_prescreenings(tx, prescreened)


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
    years = {item.data.person_id: item.data.facts.birth_year for item in received if item.data.facts.birth_year}
    await _save_applications(tx, rows, years)


async def _save_applications(tx: Transaction, rows: list[dict[str, Any]], years: Mapping[str, int]) -> None:
    survivors = await survivors_of(tx, {row["person_id"] for row in rows})
    for row in rows:
        row["person_id"] = survivors.get(row["person_id"], row["person_id"])
    await _keep_newest(tx, applications, rows)
    await place_findings(tx, {row["person_id"]: row["area"] for row in rows})
    asked = sorted((row for row in rows if row["status"] not in ("rejected", "withdrawn")), key=_applied_on)
    await answer_outreach(tx, {row["person_id"]: row["applied_on"] for row in asked})
    await note_birth_years(tx, years)


async def note_names(tx: Transaction, received: Sequence[Received]) -> None:
    """What persons are called, sealed for the event that told it."""
    await _save_names(tx, [(item.data, item.event_id) for item in received])


async def _save_names(tx: Transaction, told: Sequence[tuple[ContactChanged, UUID | None]]) -> None:
    """Of ids that were merged into others nothing is kept: it is told under the one that stays."""
    survivors = await survivors_of(tx, {contact.person_id for contact, _ in told})
    rows = [
        {"person_id": contact.person_id, "version": contact.version, "event_id": event_id, "name": contact.name}
        for contact, event_id in told
        if contact.person_id not in survivors
    ]
    await _keep_newest(tx, contact_names, rows)


async def note_taken_over(tx: Transaction, received: Sequence[Received]) -> None:
    """Who is taken over from a roster has applied, elsewhere."""
    recipients = [recipient for item in received for recipient in item.data.recipients]
    await _save_names(tx, [(recipient.contact, None) for recipient in recipients])
    rows = [
        {
            "application_id": application.application_id,
            "person_id": recipient.person_id,
            "version": application.version,
            "area": recipient.area,
            "status": "approved",
            "applied_on": application.applied_on,
            "certificate": application.certificate.model_dump(mode="json"),
        }
        for recipient in recipients
        for application in recipient.applications
    ]
    await _save_applications(tx, rows, {r.person_id: r.birth_year for r in recipients if r.birth_year})


def _applied_on(row: dict[str, Any]) -> date:
    applied_on: date = row["applied_on"]
    return applied_on


async def _keep_newest(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["version"]):
        newest[tuple(row[column.name] for column in table.primary_key)] = row
    await tx.fill(_REPLACING[table], [newest[key] for key in sorted(newest, key=str)])


_REPLACING = {table: replacing(table, newest=True) for table in (roster, applications, contact_names)}

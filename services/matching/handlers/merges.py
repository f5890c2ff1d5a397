"""Two ids turn out to be one person: facts, findings and all else follow to the one that stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Table, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.database import Transaction
from libs.common.events.intake import PersonIdCorrected
from libs.common.events.matching import FindingDismissed, FindingOpened, PersonMerged
from libs.common.period import business_date
from libs.common.projection import Received
from services.matching.handlers.findings import save_finding
from services.matching.handlers.persons import survivor_of
from services.matching.outreach import OPEN
from services.matching.tables import (
    applications,
    claims,
    contact_names,
    evidence,
    face_checks,
    facts,
    findings,
    outreach,
    persons,
    proofs_of_life,
)


async def merge_persons(tx: Transaction, received: Sequence[Received]) -> None:
    """Moves what is known under one id to the other, and tells the departments' side of it. The roster follows by
    eligibility's own events.

    What the survivor has open already is not opened twice: the other's is closed, and stays under its id as it was.
    """
    for item in received:
        event: PersonIdCorrected = item.data
        await tx.lock(event.person_id, event.into_person_id)
        root = await survivor_of(tx, event.into_person_id)
        if root == event.person_id:
            continue  # the two were merged the other way round before; they are one already
        await _point(tx, event.person_id, root)
        for table in (facts, applications, evidence, face_checks):
            await _move(tx, table, event.person_id, root)
        await _move_findings(tx, event.person_id, root)
        await _move_outreach(tx, event.person_id, root, business_date(item.envelope.time))
        await _move_proofs(tx, event.person_id, root)
        await tx.connection.execute(delete(contact_names).where(contact_names.c.person_id == event.person_id))
        await tx.connection.execute(_MOVE_COVERAGE, {"old": event.person_id, "root": root})
        tx.publish(PersonMerged(person_id=event.person_id, version=event.version, into_person_id=root))


async def _point(tx: Transaction, old: str, root: str) -> None:
    statement = insert(persons).values(person_id=old, merged_into=root)
    await tx.connection.execute(
        statement.on_conflict_do_update(index_elements=["person_id"], set_={"merged_into": root})
    )
    await tx.connection.execute(update(persons).where(persons.c.merged_into == old).values(merged_into=root))


async def _move(tx: Transaction, table: Table, old: str, root: str, *conditions: Any) -> None:
    await tx.connection.execute(update(table).where(table.c.person_id == old, *conditions).values(person_id=root))


async def _move_findings(tx: Transaction, old: str, root: str) -> None:
    said = {_claim(row): row for row in await _rows(tx, claims, root)}
    open_already = {(row.kind, row.about) for row in await _rows(tx, findings, root) if row.status == "open"}
    claims_of_old = await _rows(tx, claims, old)
    for row in await _rows(tx, findings, old):
        its_claims = [claim for claim in claims_of_old if claim.finding_id == row.finding_id]
        known = any(_claim(claim) in said for claim in its_claims)
        if known or (row.status == "open" and (row.kind, row.about) in open_already):
            if row.status == "open":
                await _close(tx, row, root)
            continue
        await _move(tx, claims, old, root, claims.c.finding_id == row.finding_id)
        if row.status == "open":
            await save_finding(tx, row, FindingOpened, person_id=root)
        else:
            await _move(tx, findings, old, root, findings.c.finding_id == row.finding_id)


async def _close(tx: Transaction, row: Any, root: str) -> None:
    await save_finding(
        tx, row, FindingDismissed, status="dismissed", method="document", note=f"one person with {root}",
        verified_by="person.merged", verified_at=tx.now,
    )  # fmt: skip


async def _move_outreach(tx: Transaction, old: str, root: str, on: date) -> None:
    if await _any(tx, outreach, root, outreach.c.status.in_(OPEN)):
        await tx.connection.execute(
            update(outreach)
            .where(outreach.c.person_id == old, outreach.c.status.in_(OPEN))
            .values(status="closed", closed_on=on, closed_because="person.merged")
        )
    await _move(tx, outreach, old, root)


async def _move_proofs(tx: Transaction, old: str, root: str) -> None:
    if await _any(tx, proofs_of_life, root, proofs_of_life.c.status == "open"):
        await tx.connection.execute(
            update(proofs_of_life)
            .where(proofs_of_life.c.person_id == old, proofs_of_life.c.status == "open")
            .values(status="done", outcome="stopped")
        )
    await _move(tx, proofs_of_life, old, root)


async def _any(tx: Transaction, table: Table, person_id: str, condition: Any) -> bool:
    found = await tx.connection.execute(select(table.c.person_id).where(table.c.person_id == person_id, condition))
    return found.first() is not None


async def _rows(tx: Transaction, table: Table, person_id: str) -> Sequence[Any]:
    return (await tx.connection.execute(select(table).where(table.c.person_id == person_id))).all()


def _claim(row: Any) -> tuple[Any, ...]:
    return row.kind, row.about, row.source, row.alleged_on


_MOVE_COVERAGE = text(
    """
    INSERT INTO annual_coverage (year, person_id, comparison_id)
    SELECT year, :root, comparison_id FROM annual_coverage WHERE person_id = :old ON CONFLICT DO NOTHING
    """
)

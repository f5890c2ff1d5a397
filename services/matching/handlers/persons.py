"""One person, as matching knows them: where they belong, and its part of their story."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import case, func, literal, select, union_all

from libs.common.auth import Principal
from libs.common.database import Filled, Transaction, rows
from libs.common.errors import NotFound
from libs.common.period import SHANGHAI
from services.matching.tables import applications, facts, findings, outreach, persons, proofs_of_life, roster


async def area_of(tx: Transaction, person_id: str) -> str | None:
    """Where the person is known to belong: by the roster, else the latest application, else the latest fact."""
    places = union_all(
        select(
            roster.c.area.label("area"),
            case((roster.c.stopped_because.is_(None), 1), else_=2).label("place"),
            literal(0.0).label("age"),
        ).where(roster.c.person_id == person_id),
        select(applications.c.area, literal(3), -func.extract("epoch", applications.c.applied_on)).where(
            applications.c.person_id == person_id
        ),
        select(facts.c.area, literal(4), -func.extract("epoch", facts.c.known_at)).where(
            facts.c.person_id == person_id
        ),
    ).subquery()
    found = await tx.connection.execute(select(places.c.area).order_by(places.c.place, places.c.age).limit(1))
    return found.scalar_one_or_none()


async def note_birth_years(tx: Transaction, years: Mapping[str, int]) -> None:
    """Keeps the year of birth (person_id → year) where it was not known."""
    await tx.fill(_BIRTH_YEARS, [{"person_id": person, "birth_year": year} for person, year in years.items()])


_BIRTH_YEARS = Filled(
    "persons",
    ("person_id", "birth_year"),
    "ON CONFLICT (person_id) DO UPDATE SET birth_year = excluded.birth_year WHERE persons.birth_year IS NULL",
)


async def survivor_of(tx: Transaction, person_id: str) -> str:
    """The id under which the person goes now, where two ids turned out to be one person."""
    return (await survivors_of(tx, [person_id])).get(person_id, person_id)


async def survivors_of(tx: Transaction, person_ids: Collection[str]) -> dict[str, str]:
    """Those of the ids that were merged, with the id under which each goes now."""
    merged = select(persons.c.person_id, persons.c.merged_into).where(
        persons.c.person_id.in_(person_ids), persons.c.merged_into.is_not(None)
    )
    return {row.person_id: row.merged_into for row in await tx.connection.execute(merged)}


async def read_timeline(tx: Transaction, person_id: str, principal: Principal) -> list[dict[str, Any]]:
    """Facts and findings of a person, newest first. NotFound for whom nobody in one's area knows."""
    asserted = rows(await tx.connection.execute(select(facts).where(facts.c.person_id == person_id)))
    doubts = rows(await tx.connection.execute(select(findings).where(findings.c.person_id == person_id)))
    cases = rows(await tx.connection.execute(select(outreach).where(outreach.c.person_id == person_id)))
    seen = rows(
        await tx.connection.execute(
            select(proofs_of_life).where(
                proofs_of_life.c.person_id == person_id, proofs_of_life.c.proved_on.is_not(None)
            )
        )
    )
    areas = {row["area"] for row in (*asserted, *doubts, *cases, *seen)} | {await area_of(tx, person_id)}
    if not any(area is not None and principal.covers(area) for area in areas):
        raise NotFound("no such person")
    story = [_asserted(row) for row in asserted]
    story += [_opened(row) for row in doubts]
    story += [_verified(row) for row in doubts if row["status"] != "open"]
    story += [told for row in cases for told in _outreach(row)]
    story += [_proof(row) for row in seen]
    return sorted(story, key=lambda item: item["at"], reverse=True)


def _asserted(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": row["known_at"],
        "what": row["kind"],
        "detail": f"自{row['occurred_on']}起，来源：{row['source']}",
        "occurred_on": row["occurred_on"],
        "source": row["source"],
        "fact_id": row["fact_id"],
        "retracts": row["retracts"],
    }


def _opened(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": row["opened_at"],
        "what": "finding.opened",
        "detail": f"{row['kind']} {row['alleged_on']}；自{row['hold_from']}起暂缓，{row['due_on']}前核实",
        "finding_id": row["finding_id"],
    }


def _verified(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": row["verified_at"],
        "what": f"finding.{row['status']}",
        "detail": f"{row['kind']}，{row['method']}" + (f"，自{row['effective_on']}起" if row["effective_on"] else ""),
        "finding_id": row["finding_id"],
        "fact_id": row["fact_id"],
    }


_STEPS = (
    ("identified_on", "outreach.identified"),
    ("prescreened_on", "outreach.prescreened"),
    ("reminded_on", "outreach.reminded"),
    ("applied_on", "outreach.applied"),
    ("lapsed_on", "outreach.lapsed"),
    ("closed_on", "outreach.closed"),
)


def _outreach(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "at": _noon(row[day]),
            "what": what,
            "detail": f"{row['because']}；{row['remind_by']}前提醒",
            "occurred_on": row[day],
            "outreach_id": row["outreach_id"],
        }
        for day, what in _STEPS
        if row[day] is not None
    ]


def _proof(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": _noon(row["proved_on"]),
        "what": f"proof_of_life.{row['outcome']}",
        "detail": f"{row['method']}；应于{row['due_on']}前验证",
        "occurred_on": row["proved_on"],
        "proof_id": row["proof_id"],
    }


def _noon(day: date) -> datetime:
    """Where only the day is known, its noon stands among moments."""
    return datetime.combine(day, time(12), SHANGHAI)

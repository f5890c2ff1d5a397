"""Spot checks of archives (抽查, notice 5.3): drawn, judged one by one; what is missing becomes tasks until done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from libs.common.areas import level_of
from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, new_id, rows
from libs.common.errors import InvalidInput, NotFound
from libs.common.period import Period
from libs.common.working_days import working_days_after
from services.intake.archive_tables import archive_check_items, archive_checks, completion_tasks
from services.intake.archives import DocumentKind
from services.intake.errors import ItemJudged
from services.intake.policy_records import parameters_of
from services.intake.sampling import drawn
from services.intake.tables import applications

Verdict = Literal["complete", "missing"]


async def draw_archive_check(
    tx: Transaction, caller: Principal, area: str, period: Period, *, sample_size: int, seed: str
) -> UUID:
    """Draws archives of applications that were made, received or decided in the month, by area below and channel."""
    caller.require_area(area)
    below = {2: 4, 4: 6, 6: 9}.get(len(area), len(area))
    found = await tx.connection.execute(
        text(
            "SELECT application_id, left(area, :below) || ' ' || channel AS stratum FROM applications"
            " WHERE starts_with(area, :area) AND status <> 'withdrawn' AND ("
            " applied_on BETWEEN :first AND :last OR received_on BETWEEN :first AND :last"
            " OR decided_on BETWEEN :first AND :last)"
        ),
        {"below": below, "area": area, "first": period.first_day, "last": period.last_day},
    )
    population = [(row.application_id, row.stratum) for row in found]
    sample = drawn(population, sample_size, seed)
    check_id: UUID = new_id()
    await tx.connection.execute(
        insert(archive_checks).values(
            archive_check_id=check_id,
            area=area,
            period=period.first_day,
            sample_size=sample_size,
            seed=seed,
            population=len(population),
            body=_body(caller),
            drawn_by=caller.sub,
            drawn_at=tx.now,
        )
    )
    if sample:
        await tx.connection.execute(
            insert(archive_check_items),
            [{"archive_check_id": check_id, "application_id": one, "stratum": stratum} for one, stratum in sample],
        )
    await record(tx, caller, "draw archive check", str(check_id), sample=len(sample), population=len(population))
    return check_id


async def judge_archive(
    tx: Transaction,
    caller: Principal,
    check_id: UUID,
    application_id: UUID,
    *,
    verdict: Verdict,
    missing: Sequence[DocumentKind],
    on: date,
) -> None:
    """Notes the verdict; each missing kind becomes a task. The same again is the same; InvalidInput, ItemJudged."""
    if (verdict == "missing") != bool(missing):
        raise InvalidInput.at(
            "missing", "缺失时须列明所缺材料，齐全时不列 (names the missing kinds, and only where some are missing)"
        )
    await find_archive_check(tx, caller, check_id)
    item = await _locked_item(tx, check_id, application_id)
    if item.verdict is not None:
        if (item.verdict, sorted(item.missing)) == (verdict, sorted(missing)):
            return
        raise ItemJudged(f"its verdict is {item.verdict}")
    kinds = sorted(set(missing))
    await tx.connection.execute(
        update(archive_check_items)
        .where(
            archive_check_items.c.archive_check_id == check_id,
            archive_check_items.c.application_id == application_id,
        )
        .values(verdict=verdict, missing=kinds, judged_by=caller.sub, judged_at=tx.now)
    )
    if kinds:
        days = (await parameters_of(tx, item.area)).days("archive.completion_days", on)
        due_on = working_days_after(on, days)
        task = {
            "archive_check_id": check_id,
            "application_id": application_id,
            "area": item.area,
            "opened_on": on,
            "due_on": due_on,
        }
        await tx.connection.execute(
            upsert(completion_tasks).on_conflict_do_nothing(),
            [{**task, "task_id": new_id(), "kind": kind} for kind in kinds],
        )
    await record(tx, caller, "judge archive", str(application_id), person_id=item.person_id, verdict=verdict)


async def find_archive_check(tx: Transaction, caller: Principal, check_id: UUID) -> dict[str, Any]:
    """NotFound when it does not exist or lies outside the caller's area."""
    found = await tx.connection.execute(select(archive_checks).where(archive_checks.c.archive_check_id == check_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such archive check")
    caller.require_sight(row["area"], "archive check")
    return dict(row)


async def items_of(tx: Transaction, check_id: UUID) -> list[dict[str, Any]]:
    """The sample, with verdicts, and how many of its tasks are done."""
    found = await tx.connection.execute(
        text(
            "SELECT i.application_id, a.receipt_no, a.person_id, a.area, a.channel, i.stratum, i.verdict, i.missing,"
            " i.judged_by, i.judged_at, count(t.task_id) AS tasks, count(t.done_on) AS tasks_done"
            " FROM archive_check_items i JOIN applications a USING (application_id)"
            " LEFT JOIN completion_tasks t USING (archive_check_id, application_id)"
            " WHERE i.archive_check_id = :check_id"
            " GROUP BY i.archive_check_id, i.application_id, a.application_id ORDER BY i.stratum, i.application_id"
        ),
        {"check_id": check_id},
    )
    return list(rows(found))


async def duties_of(tx: Transaction, area: str, *, on: date) -> list[dict[str, Any]]:
    """Of each body in an area when it drew last, when it is to draw again, and whether it is late by that day."""
    found = await tx.connection.execute(
        text(
            "SELECT *, due_on < :on AS overdue FROM check_duties(:on) WHERE starts_with(area, :area)"
            " ORDER BY area, office"
        ),
        {"area": area, "on": on},
    )
    return list(rows(found))


async def _locked_item(tx: Transaction, check_id: UUID, application_id: UUID) -> Any:
    found = await tx.connection.execute(
        select(archive_check_items, applications.c.area, applications.c.person_id)
        .join(applications, applications.c.application_id == archive_check_items.c.application_id)
        .where(
            archive_check_items.c.archive_check_id == check_id,
            archive_check_items.c.application_id == application_id,
        )
        .with_for_update(of=archive_check_items)
    )
    item = found.one_or_none()
    if item is None:
        raise NotFound("this application is not in the sample")
    return item


def _body(caller: Principal) -> str:
    """Which of the four bodies checks: civil affairs or the federation, of a prefecture or a county."""
    level = level_of(caller.area) if caller.area else "nation"
    return f"{level} {caller.role}"

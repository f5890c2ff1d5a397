"""What every service offers to those who run it: health, metrics, daily runs, dead letters, invariants, audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import BigInteger, String, Uuid, column, select, table, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.audit import record
from libs.common.auth import Admin, AuditorOrAdmin
from libs.common.daily import DailyTask, run_task
from libs.common.database import rows
from libs.common.errors import Conflict, NotFound
from libs.common.events.envelope import read_envelope
from libs.common.invariants import Invariant, broken_by
from libs.common.outbox import request_replay
from libs.common.period import DutyDay
from libs.common.projection import retry_dead_letter
from libs.common.rebuild import Rebuildable, rebuild
from libs.common.web import Page, Paging, Tx, router

_DEAD_LETTERS = table(
    "dead_letters",
    column("dead_letter_id", Uuid),
    *map(column, ("projection", "topic", "partition", "offset", "event_id", "type", "reason", "attempts")),
    *map(column, ("failed_at", "resolved_at")),
)
_AUDIT_LOG = table(
    "audit_log",
    column("entry_id", BigInteger),
    *(column(name, String) for name in ("sub", "role", "area", "action", "object", "person_id", "reason")),
    *(column("at"), column("detail", JSONB), column("request_id")),
)


class DailyRun(BaseModel):
    as_of: DutyDay


async def metrics() -> PlainTextResponse:
    """What this process measures, for Prometheus."""
    return PlainTextResponse(generate_latest().decode(), media_type=CONTENT_TYPE_LATEST)


def operations_router(
    service: str,
    tasks: Sequence[DailyTask],
    invariants: Sequence[Invariant],
    rebuildables: Sequence[Rebuildable] = (),
) -> APIRouter:
    """The routes that every service has besides its own."""
    plain = APIRouter(tags=["operations"])
    api = router(prefix="/v1", tags=["operations"])

    @plain.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @plain.get("/readyz")
    async def ready(request: Request) -> JSONResponse:
        problems = await request.app.state.running.problems()
        return JSONResponse(
            {"status": "unready" if problems else "ready", "problems": problems}, 503 if problems else 200
        )

    plain.add_api_route("/metrics", metrics)

    @api.post("/daily-runs", status_code=201)
    async def run_daily(body: DailyRun, tx: Tx, admin: Admin) -> dict[str, Any]:
        """Does what is due by `as_of`. Running it twice is running it once."""
        done = {task.name: await run_task(tx, task, body.as_of) for task in tasks}
        await record(tx, admin, "run daily", body.as_of.isoformat(), done=done)
        return {"as_of": body.as_of, "done": done}

    @api.get("/invariants")
    async def check_invariants(tx: Tx, reader: AuditorOrAdmin) -> dict[str, Any]:
        """Each invariant with what breaks it: up to ten rows, none when it holds."""
        checked = []
        for invariant in invariants:
            broken = await broken_by(tx, invariant)
            checked.append({"name": invariant.name, "says": invariant.says, "holds": not broken, "broken_by": broken})
        return {"service": service, "holds": all(item["holds"] for item in checked), "invariants": checked}

    @api.get("/dead-letters")
    async def list_dead_letters(
        tx: Tx, reader: AuditorOrAdmin, paging: Annotated[Paging, Depends()], resolved: bool = False
    ) -> Page:
        """Newest first, without their bodies."""
        letter = _DEAD_LETTERS.c
        query = select(_DEAD_LETTERS).where(
            letter.resolved_at.is_not(None) if resolved else letter.resolved_at.is_(None)
        )
        found = await tx.connection.execute(paging.cut(query, letter.dead_letter_id, descending=True))
        return paging.page(rows(found), "dead_letter_id")

    @api.post("/dead-letters/{dead_letter_id}/retry")
    async def retry(dead_letter_id: UUID, request: Request, tx: Tx, admin: Admin) -> dict[str, str]:
        """Applies the event once more; 409 with the reason when it fails again, and the letter stays."""
        letter = (
            await tx.connection.execute(
                text("SELECT body, resolved_at FROM dead_letters WHERE dead_letter_id = :id FOR UPDATE"),
                {"id": dead_letter_id},
            )
        ).one_or_none()
        if letter is None:
            raise NotFound("no such dead letter")
        if letter.resolved_at is None:
            try:
                async with tx.connection.begin_nested():
                    await retry_dead_letter(tx, request.app.state.projection, letter.body)
            except Exception as error:
                raise Conflict(f"it fails again: {type(error).__name__}") from error
            await tx.connection.execute(
                text("UPDATE dead_letters SET resolved_at = now() WHERE dead_letter_id = :id"), {"id": dead_letter_id}
            )
            await request.app.state.projection.tell_set_aside(tx, read_envelope(letter.body))
            await record(tx, admin, "retry dead letter", str(dead_letter_id))
        return {"status": "resolved"}

    @api.post("/replays", status_code=202)
    async def replay(tx: Tx, admin: Admin) -> dict[str, str]:
        """Publishes the last event of each aggregate again; readers that know them ignore them."""
        await request_replay(tx.connection)
        await record(tx, admin, "replay", service)
        return {"status": "requested"}

    @api.get("/projections")
    async def list_projections(reader: AuditorOrAdmin) -> dict[str, Any]:
        """What this service keeps of others' events and can rebuild from them."""
        return {"items": [{"name": part.name, "producers": part.producers} for part in rebuildables]}

    @api.post("/projections/{name}/rebuild")
    async def rebuild_projection(name: str, request: Request, tx: Tx, admin: Admin) -> dict[str, Any]:
        """Empties the projection and fills it again from the bus: let its producers replay first."""
        part = next((part for part in rebuildables if part.name == name), None)
        if part is None:
            raise NotFound("no such projection")
        states = await rebuild(tx, request.app.state.projection, part, request.app.state.settings)
        await record(tx, admin, "rebuild projection", name, states=states)
        return {"projection": name, "states": states}

    @api.get("/status")
    async def status(tx: Tx, reader: AuditorOrAdmin) -> dict[str, Any]:
        """How far the relay and the readers are, and the day that each daily task last ran for."""
        counts = (
            await tx.connection.execute(
                text(
                    "SELECT (SELECT count(*) FROM outbox, relay_position p WHERE outbox.xid >= p.high) AS unpublished,"
                    " (SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL) AS dead_letters,"
                    " (SELECT replay_requested OR replaying FROM relay_position) AS is_replaying"
                )
            )
        ).one()
        marks = await tx.connection.execute(
            text("SELECT topic, min(until) AS until FROM watermarks GROUP BY topic ORDER BY topic")
        )
        daily = await tx.connection.execute(
            text("SELECT DISTINCT ON (task) task, as_of, done, ran_at FROM daily_runs ORDER BY task, as_of DESC")
        )
        return {
            "service": service,
            "now": tx.now,
            "unpublished": counts.unpublished,
            "dead_letters": counts.dead_letters,
            "is_replaying": counts.is_replaying,
            "watermarks": rows(marks),
            "daily_runs": rows(daily),
        }

    @api.get("/audit-log")
    async def read_audit_log(
        tx: Tx,
        reader: AuditorOrAdmin,
        paging: Annotated[Paging, Depends()],
        person_id: str | None = None,
        sub: str | None = None,
    ) -> Page:
        """Newest first."""
        entry = _AUDIT_LOG.c
        query = select(_AUDIT_LOG).where(entry.area.startswith(reader.area, autoescape=True))
        if person_id is not None:
            query = query.where(entry.person_id == person_id)
        if sub is not None:
            query = query.where(entry.sub == sub)
        found = await tx.connection.execute(paging.cut(query, entry.entry_id, descending=True))
        return paging.page(rows(found), "entry_id")

    both = APIRouter()
    both.include_router(plain)
    both.include_router(api)
    return both

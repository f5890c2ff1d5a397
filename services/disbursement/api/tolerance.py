"""The tolerance list (容错纠错清单; notice 7.2) and the deviations that are assessed by it."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from libs.common import audit
from libs.common.areas import Area, lineage
from libs.common.auth import CivilAffairs, Official
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.errors import Conflict, FourEyes, InvalidInput, NotFound
from libs.common.money import Fen
from libs.common.web import Page, Tx, router
from services.disbursement.errors import ClauseNotInForce

api = router(prefix="/v1", tags=["tolerance"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Clause(_Body):
    clause: str = Field(min_length=1, max_length=20, description="its number in the list")
    text: str = Field(min_length=1, max_length=2000)


class NewList(_Body):
    """A version of an area's list. It holds from a day not before its publication until the next version."""

    area: Area
    document_no: str = Field(min_length=1, max_length=100)
    published_on: date
    in_force_on: date
    clauses: list[Clause] = Field(min_length=1, max_length=200)


class NewDeviation(_Body):
    """What a handler did otherwise than prescribed, as a check found it. `handler`: the subject of the token."""

    area: Area
    handler: str = Field(min_length=1, max_length=100)
    happened_on: date
    found_in: str = Field(min_length=1, max_length=200, description="the check, audit or complaint")
    what: str = Field(min_length=1, max_length=2000)
    loss_fen: Fen = 0


class Factors(_Body):
    """The six factors that notice 7.2 weighs."""

    motive: str = Field(min_length=1, max_length=1000, description="动机态度")
    objective_conditions: str = Field(min_length=1, max_length=1000, description="客观条件")
    procedure: str = Field(min_length=1, max_length=1000, description="程序方法")
    nature: str = Field(min_length=1, max_length=1000, description="性质程度")
    consequences: str = Field(min_length=1, max_length=1000, description="后果影响")
    loss_recovered: str = Field(min_length=1, max_length=1000, description="挽回损失")


class Assessment(_Body):
    factors: Factors
    verdict: Literal["tolerated", "mitigated", "not_tolerated"]
    clause: str = Field(min_length=1, max_length=20)
    reason: str = Field(min_length=1, max_length=2000)


@api.post("/tolerance-lists", status_code=status.HTTP_201_CREATED)
async def publish_list(body: NewList, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """Publishes the next version of an area's list; earlier ones stay as they were."""
    civil_affairs.require_area(body.area)
    if body.in_force_on < body.published_on:
        raise InvalidInput.at(
            "in_force_on", "清单不得追溯到公布之前 (a list does not excuse what was done before it was published)"
        )
    await tx.lock(f"tolerance:{body.area}")
    new = rows(
        await tx.connection.execute(
            text(
                "INSERT INTO tolerance_lists (area, version, in_force_on, published_on, document_no, clauses,"
                " published_by) SELECT :area, coalesce(max(version), 0) + 1, :in_force_on, :published_on,"
                " :document_no, CAST(:clauses AS jsonb), :sub FROM tolerance_lists WHERE area = :area"
                " HAVING coalesce(max(in_force_on), '-infinity') < :in_force_on RETURNING list_id, version"
            ),
            body.model_dump()
            | {
                "clauses": json.dumps([clause.model_dump() for clause in body.clauses], ensure_ascii=False),
                "sub": civil_affairs.sub,
            },
        )
    )
    if not new:
        raise Conflict("a version that is in force as late is published already")
    await audit.record(tx, civil_affairs, "publish tolerance list", str(new[0]["list_id"]), area=body.area)
    return {**new[0], **body.model_dump()}


@api.get("/tolerance-lists")
async def list_lists(area: Area, tx: Tx, reader: Official, on: date | None = None) -> Page:
    """The versions for an area and those above it, newest first; with `on` those in force that day."""
    found = await _lists_of(tx, area)
    return Page(
        items=[row for row in found if on is None or row["in_force_on"] <= on <= (row["in_force_until"] or date.max)]
    )


async def _lists_of(tx: Transaction, area: str) -> list[dict[str, Any]]:
    """Newest first."""
    found = await tx.connection.execute(
        text(
            "SELECT *, lead(in_force_on) OVER (PARTITION BY area ORDER BY version) - 1 AS in_force_until"
            " FROM tolerance_lists WHERE area = ANY(CAST(:areas AS text[]))"
        ),
        {"areas": lineage(area)},
    )
    return sorted(rows(found), key=lambda row: (row["in_force_on"], row["area"]), reverse=True)


@api.get("/public/tolerance-lists")
async def read_published(area: Area, tx: Tx) -> Page:
    """The same without a login: every version that was published for an area and those above it, with its days."""
    found = await _lists_of(tx, area)
    return Page(
        items=[{name: row[name] for name in _PUBLISHED} for row in found if row["published_on"] <= business_today()]
    )


_PUBLISHED = ("area", "version", "document_no", "published_on", "in_force_on", "in_force_until", "clauses")


@api.post("/deviations", status_code=status.HTTP_201_CREATED)
async def record_deviation(body: NewDeviation, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    civil_affairs.require_area(body.area)
    if body.happened_on > business_today():
        raise InvalidInput.at("happened_on", "日期尚未到来 (a day to come)")
    deviation_id: UUID = (
        await tx.connection.execute(
            text(
                "INSERT INTO deviations (area, handler, happened_on, found_in, what, loss_fen, recorded_by) VALUES"
                " (:area, :handler, :happened_on, :found_in, :what, :loss_fen, :sub) RETURNING deviation_id"
            ),
            body.model_dump() | {"sub": civil_affairs.sub},
        )
    ).scalar_one()
    await audit.record(tx, civil_affairs, "record deviation", str(deviation_id))
    return {"deviation_id": deviation_id, **body.model_dump()}


@api.get("/deviations")
async def list_deviations(tx: Tx, reader: Official, area: Area | None = None) -> Page:
    """Newest first, at most 500."""
    if area is not None:
        reader.require_area(area)
    found = await tx.connection.execute(
        text("SELECT * FROM deviations WHERE area LIKE :area || '%' ORDER BY deviation_id DESC LIMIT 500"),
        {"area": reader.area if area is None else area},
    )
    return Page(items=list(rows(found)))


@api.post("/deviations/{deviation_id}/assessment")
async def assess(deviation_id: UUID, body: Assessment, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    """Weighs the six factors; the verdict cites a clause that was in force on the day of the deviation, in its area or
    above. Neither the handler nor who recorded it may."""
    known = rows(
        await tx.connection.execute(
            text("SELECT * FROM deviations WHERE deviation_id = :id FOR UPDATE"), {"id": deviation_id}
        )
    )
    if not known or not civil_affairs.covers(known[0]["area"]):
        raise NotFound("no such deviation")
    deviation = known[0]
    if deviation["verdict"] is not None:
        raise Conflict("it is assessed already")
    if civil_affairs.sub in (deviation["handler"], deviation["recorded_by"]):
        raise FourEyes("经办人和登记人不得作出认定 (neither the handler nor who recorded a deviation assesses it)")
    in_force = (await list_lists(deviation["area"], tx, civil_affairs, deviation["happened_on"])).items
    cited = next((row for row in in_force if any(c["clause"] == body.clause for c in row["clauses"])), None)
    if cited is None:
        raise ClauseNotInForce(f"clause {body.clause} on {deviation['happened_on']}")
    saved = await tx.connection.execute(
        text(
            "UPDATE deviations SET factors = CAST(:factors AS jsonb), verdict = :verdict, list_id = :list_id,"
            " clause = :clause, reason = :reason, assessed_by = :sub, assessed_at = :now WHERE deviation_id = :id"
            " RETURNING *"
        ),
        {
            "id": deviation_id,
            "factors": json.dumps(body.factors.model_dump(), ensure_ascii=False),
            "verdict": body.verdict,
            "list_id": cited["list_id"],
            "clause": body.clause,
            "reason": body.reason,
            "sub": civil_affairs.sub,
            "now": tx.now,
        },
    )
    await audit.record(tx, civil_affairs, "assess deviation", str(deviation_id), reason=body.reason)
    return rows(saved)[0]


@api.get("/deviation-statistics")
async def read_statistics(
    area: Area, tx: Tx, reader: Official, year: Annotated[int | None, Query(ge=2000, le=2200)] = None
) -> Page:
    """Deviations of a year by verdict and cited clause; `open` has none yet."""
    reader.require_area(area)
    found = await tx.connection.execute(
        text(
            "SELECT coalesce(verdict, 'open') AS verdict, clause, count(*) AS deviations,"
            " sum(loss_fen)::bigint AS loss_fen FROM deviations WHERE area LIKE :area || '%'"
            " AND (CAST(:year AS int) IS NULL OR extract(year FROM happened_on) = :year)"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"area": area, "year": year},
    )
    return Page(items=list(rows(found)))

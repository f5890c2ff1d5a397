"""Work funds (工作经费; notice 6.3): budgets and spending, service contracts (购买服务), and the work done, by area."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from libs.common import audit
from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Official
from libs.common.database import rows
from libs.common.errors import Conflict, InvalidInput
from libs.common.money import Fen
from libs.common.web import Tx, router

api = router(prefix="/v1/work-funds", tags=["work funds"])


class NewEntry(BaseModel):
    """Money in `amount_fen`, work in `quantity` (cases handled); a contract has its `counterparty`."""

    model_config = ConfigDict(extra="forbid")

    area: Area
    year: int = Field(ge=2000, le=2200)
    kind: Literal["budget", "spending", "contract", "workload"]
    title: str = Field(min_length=1, max_length=200)
    counterparty: str | None = Field(default=None, max_length=200)
    amount_fen: Fen | None = Field(default=None, gt=0)
    quantity: int | None = Field(default=None, gt=0, le=10**9)
    document_no: str = Field(min_length=1, max_length=100)


@api.post("", status_code=status.HTTP_201_CREATED)
async def record_entry(body: NewEntry, tx: Tx, civil_affairs: CivilAffairs) -> dict[str, Any]:
    civil_affairs.require_area(body.area)
    if (body.kind == "workload") != (body.quantity is not None) or (body.kind == "workload") == (
        body.amount_fen is not None
    ):
        raise InvalidInput.at("kind", "工作量填数量，其余填金额 (workload has a quantity, everything else an amount)")
    if body.kind == "contract" and body.counterparty is None:
        raise InvalidInput.at("counterparty", "合同须有对方单位 (a contract is with somebody)")
    new = rows(
        await tx.connection.execute(
            text(
                "INSERT INTO work_funds (area, year, kind, title, counterparty, amount_fen, quantity, document_no,"
                " recorded_by) VALUES (:area, :year, :kind, :title, :counterparty, :amount_fen, :quantity,"
                " :document_no, :sub) ON CONFLICT DO NOTHING RETURNING entry_id"
            ),
            body.model_dump() | {"sub": civil_affairs.sub},
        )
    )
    if not new:
        raise Conflict(f"{body.document_no} was recorded already")
    await audit.record(tx, civil_affairs, "record work fund", str(new[0]["entry_id"]), area=body.area)
    return {**new[0], **body.model_dump()}


@api.get("")
async def read_work_funds(area: Area, year: int, tx: Tx, reader: Official) -> dict[str, Any]:
    """The year's entries (at most 500), and per area budget, spent, contracted, left, and work done."""
    reader.require_area(area)
    scope = {"area": area, "year": year}
    entries = await tx.connection.execute(
        text("SELECT * FROM work_funds WHERE area LIKE :area || '%' AND year = :year ORDER BY entry_id LIMIT 500"),
        scope,
    )
    totals = await tx.connection.execute(
        text(
            "SELECT area, coalesce(sum(amount_fen) FILTER (WHERE kind = 'budget'), 0)::bigint AS budget_fen,"
            " coalesce(sum(amount_fen) FILTER (WHERE kind = 'spending'), 0)::bigint AS spent_fen,"
            " coalesce(sum(amount_fen) FILTER (WHERE kind = 'contract'), 0)::bigint AS contracted_fen,"
            " coalesce(sum(CASE kind WHEN 'budget' THEN amount_fen WHEN 'spending' THEN -amount_fen END), 0)::bigint"
            " AS left_fen, coalesce(sum(quantity), 0) AS workload"
            " FROM work_funds WHERE area LIKE :area || '%' AND year = :year GROUP BY area ORDER BY area"
        ),
        scope,
    )
    return {"area": area, "year": year, "by_area": rows(totals), "items": rows(entries)}

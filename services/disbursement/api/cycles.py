"""Cycles over REST: drawn up, concurred, approved, submitted; their items."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.areas import Area
from libs.common.auth import CivilAffairs, Federation, Finance, Official, Principal
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.errors import InvalidInput
from libs.common.money import Fen
from libs.common.period import Period
from libs.common.vocabulary import CycleStatus, Subsidy
from libs.common.web import Page, Paging, Tx, router
from services.disbursement.api.periods import MaybePeriod
from services.disbursement.handlers import cycles as handlers
from services.disbursement.handlers.books import appropriate
from services.disbursement.ledger import Book
from services.disbursement.tables import cycles
from services.disbursement.words import cause_text, code_text

api = router(prefix="/v1", tags=["cycles"])

_MONTHS_AHEAD = 24
"""A slip of the pen must not open a partition for each month of a century."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewAppropriation(_Body):
    area: Area
    subsidy: Subsidy
    year: int = Field(ge=2000, le=2200)
    amount_fen: Fen = Field(gt=0)
    granted_by: Literal["central", "province", "prefecture", "county"] = "county"
    document_no: str = Field(min_length=1, max_length=100)


class NewCycle(_Body):
    """Without `subsidy` the cycle pays both. `channel` file: for a bank without REST, by bank-file and bank-results.
    `overdue_reason`: why those are held on whose findings are overdue and not decided on."""

    area: Area
    period: Period
    subsidy: Subsidy | None = None
    channel: handlers.Channel = "rest"
    overdue_reason: str | None = Field(default=None, min_length=1, max_length=500)


class Counts(BaseModel):
    """Person-months. `overdue`: of those held, by a finding that the county neither verified in time nor decided on.
    `dropped`: taken out after it was drawn up, and why stands with the item."""

    payable: int
    held: int
    overdue: int
    unpayable: int
    dropped: int
    pending: int
    sent: int
    settled: int
    failed: int
    returned: int


class Cycle(BaseModel):
    """`amount_fen` is what its payments come to. `waiting_since`: submission was asked for and waits for the watermark;
    `refused_because`: the last time it was asked for it was refused."""

    cycle_id: UUID
    area: str
    period: Period
    subsidy: Subsidy | None
    channel: handlers.Channel
    status: CycleStatus
    counts: Counts
    amount_fen: int
    settled_fen: int
    created_by: str
    concurred_by: str | None
    approved_by: str | None
    waiting_since: datetime | None = None
    refused_because: str | None
    submitted_at: datetime | None
    settled_at: datetime | None
    closed_at: datetime | None


@api.post("/appropriations", status_code=status.HTTP_201_CREATED)
async def record_appropriation(body: NewAppropriation, tx: Tx, finance: Finance) -> dict[str, Any]:
    """Money appropriated by a numbered document. The same document again is the same appropriation."""
    finance.require_area(body.area)
    budget = Book(body.area, body.subsidy, body.year)
    appropriation_id = await appropriate(
        tx,
        finance,
        budget,
        amount_fen=body.amount_fen,
        document_no=body.document_no,
        on=business_today(),
        granted_by=body.granted_by,
    )
    return {"appropriation_id": appropriation_id, **body.model_dump()}


@api.get("/appropriations")
async def list_books(tx: Tx, reader: Official, area: Area | None = None, year: int | None = None) -> Page:
    """Each book with its balances: appropriated, available, committed, clearing, paid, receivable and so on."""
    if area is not None:
        reader.require_area(area)
    found = await tx.connection.execute(
        text(
            "SELECT book_area AS area, subsidy, book_year AS year,"
            " jsonb_object_agg(account || '_fen', abs(balance_fen)) AS balances FROM balances"
            " WHERE starts_with(book_area, :area) AND (CAST(:year AS int) IS NULL OR book_year = :year)"
            " GROUP BY book_area, subsidy, book_year ORDER BY book_area, subsidy, book_year"
        ).columns(balances=JSONB),
        {"area": reader.area if area is None else area, "year": year},
    )
    return Page(items=list(rows(found)))


@api.post("/cycles", status_code=status.HTTP_201_CREATED)
async def draw_up(body: NewCycle, tx: Tx, civil_affairs: CivilAffairs, request: Request) -> Cycle:
    """Draws up what is due of every month up to the period. The same draft again is drawn up anew. Whoever is held by a
    finding that is overdue stays so, and that is recorded as the decision of who draws it up."""
    civil_affairs.require_area(body.area)
    if body.period > Period.of(business_today()).plus(_MONTHS_AHEAD):
        raise InvalidInput.at(
            "period", f"不得提前 {_MONTHS_AHEAD} 个月以上 (lies more than {_MONTHS_AHEAD} months ahead)"
        )
    order = handlers.Order(body.area, body.period, body.subsidy, body.channel, body.overdue_reason)
    cycle_id = await handlers.draw_up_cycle(tx, civil_affairs, request.app.state.settings, order)
    return await _shown(tx, cycle_id)


@api.post("/cycles/{cycle_id}/concurrence")
async def concur(cycle_id: UUID, tx: Tx, federation: Federation) -> Cycle:
    """The federation concurs (会签)."""
    await handlers.concur_with_cycle(tx, federation, cycle_id)
    return await _shown(tx, cycle_id)


@api.post("/cycles/{cycle_id}/approval")
async def approve(cycle_id: UUID, tx: Tx, finance: Finance) -> Cycle:
    """Finance approves; 409 says by how much the funds are short."""
    await handlers.approve_cycle(tx, finance, cycle_id)
    return await _shown(tx, cycle_id)


@api.post("/cycles/{cycle_id}/submission", status_code=status.HTTP_202_ACCEPTED)
async def submit(cycle_id: UUID, tx: Tx, finance: Finance) -> Cycle:
    """Submits the cycle as soon as everything known by now has arrived; what was stopped meanwhile is dropped."""
    await handlers.request_submission(tx, finance, cycle_id)
    return await _shown(tx, cycle_id)


@api.delete("/cycles/{cycle_id}", status_code=status.HTTP_204_NO_CONTENT)
async def withdraw(cycle_id: UUID, tx: Tx, civil_affairs: CivilAffairs) -> Response:
    """Gives up a cycle that was not submitted; what it held is due again."""
    await handlers.withdraw_cycle(tx, civil_affairs, cycle_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@api.get("/cycles")
async def list_cycles(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    period: MaybePeriod,
    area: Area | None = None,
    status: CycleStatus | None = None,
) -> Page:
    """Newest first."""
    wanted = select(cycles.c.cycle_id).where(reader.within(cycles.c.area, area))
    if period is not None:
        wanted = wanted.where(cycles.c.period == period)
    if status is not None:
        wanted = wanted.where(cycles.c.status == status)
    found = rows(await tx.connection.execute(paging.cut(wanted, cycles.c.cycle_id, descending=True)))
    page = paging.page(found, "cycle_id")
    page.items = [await _shown(tx, row["cycle_id"]) for row in page.items]
    return page


@api.get("/cycles/{cycle_id}")
async def read_cycle(cycle_id: UUID, tx: Tx, reader: Official) -> Cycle:
    await _seen(tx, reader, cycle_id)
    return await _shown(tx, cycle_id)


@api.get("/cycles/{cycle_id}/items")
async def list_items(
    cycle_id: UUID,
    tx: Tx,
    reader: Official,
    outcome: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> Page:
    """What it pays and what it does not, and why, by person and month; `cursor` is a number of items."""
    await _seen(tx, reader, cycle_id)
    found = rows(
        await tx.connection.execute(
            text(
                "SELECT * FROM (SELECT person_id, subsidy, to_char(period, 'YYYY-MM') AS period, amount_fen,"
                " 'payable' AS outcome, NULL AS reason, NULL AS finding_id, false AS overdue, payment_id, status, code"
                " FROM payments WHERE cycle_id = :id UNION ALL"
                " SELECT person_id, subsidy, to_char(period, 'YYYY-MM'), amount_fen,"
                " outcome, reason, finding_id, overdue, NULL, NULL, NULL FROM cycle_exceptions WHERE cycle_id = :id"
                " ) AS items"
                " WHERE CAST(:outcome AS text) IS NULL OR outcome = :outcome"
                " ORDER BY person_id, subsidy, period LIMIT :limit OFFSET :offset"
            ),
            {"id": cycle_id, "outcome": outcome, "limit": limit + 1, "offset": cursor},
        )
    )
    items = [
        row | {"says": code_text(row["code"])[0] if row["code"] else cause_text(row["reason"])} for row in found[:limit]
    ]
    return Page(items=items, next_cursor=str(cursor + limit) if len(found) > limit else None)


async def _seen(tx: Transaction, reader: Principal, cycle_id: UUID) -> dict[str, Any]:
    cycle = await handlers.load_cycle(tx, cycle_id)
    reader.require_sight(cycle["area"], "cycle")
    return cycle


async def _shown(tx: Transaction, cycle_id: UUID) -> Cycle:
    cycle = await handlers.load_cycle(tx, cycle_id)
    counted = (await tx.connection.execute(_COUNTS, {"id": cycle_id})).mappings().one()
    return Cycle(
        **{name: cycle[name] for name in Cycle.model_fields if name in cycle},
        waiting_since=cycle["requested_at"] if cycle["status"] == "approved" else None,
        counts=Counts(**{name: counted[name] for name in Counts.model_fields}),
        amount_fen=counted["amount_fen"],
        settled_fen=counted["settled_fen"],
    )


_COUNTS = text(
    "SELECT count(*) FILTER (WHERE outcome = 'payable') AS payable, count(*) FILTER (WHERE outcome = 'held') AS held,"
    " count(*) FILTER (WHERE overdue) AS overdue,"
    " count(*) FILTER (WHERE outcome = 'unpayable') AS unpayable,"
    " count(*) FILTER (WHERE outcome = 'dropped') AS dropped,"
    " count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'sent') AS sent,"
    " count(*) FILTER (WHERE status = 'settled') AS settled, count(*) FILTER (WHERE status = 'failed') AS failed,"
    " count(*) FILTER (WHERE status = 'returned') AS returned,"
    " coalesce(sum(amount_fen) FILTER (WHERE outcome = 'payable'), 0)::bigint AS amount_fen,"
    " coalesce(sum(amount_fen) FILTER (WHERE status = 'settled'), 0)::bigint AS settled_fen"
    " FROM (SELECT 'payable' AS outcome, status, amount_fen, false AS overdue FROM payments WHERE cycle_id = :id"
    " UNION ALL SELECT outcome, NULL, amount_fen, overdue FROM cycle_exceptions WHERE cycle_id = :id) AS items"
)

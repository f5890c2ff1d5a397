"""Papers over REST, as PDF (long lists in volumes) and as Excel: of a cycle, and of an area and month."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from libs.common import audit
from libs.common.areas import Area
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.database import Transaction
from libs.common.errors import Forbidden
from libs.common.papers.lists import ListForm, ListPaper, answer_with_list
from libs.common.period import Period
from libs.common.privacy import Sealer
from libs.common.web import Tx, router
from services.disbursement.api.periods import InPeriod
from services.disbursement.api.statistics import monthly_paper, monthly_table
from services.disbursement.handlers import papers as found
from services.disbursement.handlers.cycles import load_cycle
from services.disbursement.papers import areas, cycles

api = router(prefix="/v1", tags=["papers"])

Reader = Annotated[Principal, Depends(caller("township", "civil_affairs", "cdpf", "finance", "auditor"))]
Volume = Annotated[int, Query(ge=1, description="of a long PDF: 500 rows each")]
Reason = Annotated[str | None, Query(min_length=1, max_length=500, description="why an auditor reads names whole")]
CyclePaper = Literal["funds-application", "concurrence", "roster", "voucher", "bank-list", "returns", "reissues"]
AreaPaper = Literal["ledger", "balances", "monthly", "yearly", "problems", "supervision", "rectification"]


@api.get("/cycles/{cycle_id}/roster.xlsx")
async def download_roster(cycle_id: UUID, tx: Tx, reader: Reader, request: Request, reason: Reason = None) -> Response:
    """发放花名册: names in full, accounts by their last four digits."""
    return await download_cycle_paper(cycle_id, "roster", "xlsx", tx, reader, request, reason=reason)


@api.get("/cycles/{cycle_id}/papers/{paper}.{form}")
async def download_cycle_paper(
    cycle_id: UUID,
    paper: CyclePaper,
    form: ListForm,
    tx: Tx,
    reader: Reader,
    request: Request,
    volume: Volume = 1,
    reason: Reason = None,
) -> Response:
    """资金申请表, 会签单, 发放花名册, 拨付凭证, 代发清单 (finance alone), 退回清单, 重发清单. An auditor reads names
    whole only with a reason."""
    cycle = await load_cycle(tx, cycle_id)
    reader.require_sight(cycle["area"], "cycle")
    if paper == "bank-list" and reader.role != "finance":
        raise Forbidden("whole account numbers are for finance")
    await audit.record(tx, reader, f"download {paper}", str(cycle_id), reason=reason)
    made = cycles.Made(cycle, reader.sub, business_today())
    sealer: Sealer = request.app.state.sealer
    made_of = await _of_cycle(tx, paper, made, sealer, _names(reader, sealer, reason))
    return await answer_with_list(made_of, form, volume=volume)


async def _of_cycle(
    tx: Transaction, paper: CyclePaper, made: cycles.Made, sealer: Sealer, names: found.Names
) -> ListPaper:
    cycle = made.cycle
    cycle_id: UUID = cycle["cycle_id"]
    match paper:
        case "funds-application":
            needs = await found.funds_needed(tx, dict(cycle))
            return cycles.funds_application(made, needs, await found.grants(tx, cycle["area"], cycle["period"].year))
        case "concurrence":
            return cycles.concurrence(made, await found.sums_by_outcome(tx, cycle_id))
        case "roster":
            return cycles.roster(made, await found.roster_items(tx, names, cycle_id))
        case "voucher":
            return cycles.voucher(made, await found.batches(tx, cycle_id))
        case "bank-list":
            return cycles.bank_list(made, await found.transfers(tx, sealer, cycle_id))
        case "returns":
            return cycles.returns(made, await found.attempts(tx, names, cycle_id, "returns"))
        case "reissues":
            return cycles.reissues(made, await found.attempts(tx, names, cycle_id, "reissues"))


@api.get("/papers/{paper}.{form}")
async def download_area_paper(
    paper: AreaPaper,
    form: ListForm,
    area: Area,
    period: InPeriod,
    tx: Tx,
    reader: Official,
    request: Request,
    volume: Volume = 1,
    reason: Reason = None,
) -> Response:
    """花名册（台账）, 结余及缴回表, 月报, 年报, 问题清单, 督办单, 整改台账 of an area, up to a month."""
    reader.require_area(area)
    if paper == "ledger" and reader.role == "admin":
        raise Forbidden("whoever runs the system reads no names")
    await audit.record(tx, reader, f"download {paper}", area, reason=reason, period=str(period))
    names = _names(reader, request.app.state.sealer, reason)
    made = await _MAKERS[paper](tx, areas.Made(area, period, reader.sub, business_today()), names)
    return await answer_with_list(made, form, volume=volume)


async def _ledger(tx: Transaction, made: areas.Made, names: found.Names) -> ListPaper:
    return areas.ledger(made, await found.persons(tx, names, made.area, made.period))


async def _balances(tx: Transaction, made: areas.Made, names: found.Names) -> ListPaper:
    books = await found.books(tx, made.area, year=None, upto=made.period.last_day)
    return areas.balances(made, books, await found.grants(tx, made.area, None))


async def _monthly(tx: Transaction, made: areas.Made, names: found.Names) -> ListPaper:
    table = await monthly_table(tx, made.area, made.period)
    return monthly_paper(table, made_by=made.made_by, on=made.on, detailed=False)


async def _yearly(tx: Transaction, made: areas.Made, names: found.Names) -> ListPaper:
    months = [Period(made.period.year, month) for month in range(1, made.period.month + 1)]
    return areas.yearly(made, [(month, (await monthly_table(tx, made.area, month))["total"]) for month in months])


async def _problems(tx: Transaction, made: areas.Made, names: found.Names) -> ListPaper:
    return areas.problems(made, await found.cases_of(tx, made.area, made.period, "problems"))


async def _supervision(tx: Transaction, made: areas.Made, names: found.Names) -> ListPaper:
    return areas.supervision(made, await found.cases_of(tx, made.area, made.period, "supervision"))


async def _rectification(tx: Transaction, made: areas.Made, names: found.Names) -> ListPaper:
    return areas.rectification(made, await found.cases_of(tx, made.area, made.period, "rectification"))


_MAKERS: dict[AreaPaper, Callable[[Transaction, areas.Made, found.Names], Awaitable[ListPaper]]] = {
    "ledger": _ledger,
    "balances": _balances,
    "monthly": _monthly,
    "yearly": _yearly,
    "problems": _problems,
    "supervision": _supervision,
    "rectification": _rectification,
}


def _names(reader: Principal, sealer: Sealer, reason: str | None) -> found.Names:
    """Whoever works with the paper reads names whole; an auditor with a reason."""
    return found.Names(sealer, masked=reader.role == "auditor" and reason is None)

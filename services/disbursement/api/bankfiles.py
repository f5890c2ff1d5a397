"""Files of a cycle: the bank file (代发文件) and its results (回盘)."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field, ValidationError

from libs.common import audit
from libs.common.auth import Finance, Principal
from libs.common.clock import business_today
from libs.common.database import Transaction
from libs.common.errors import InvalidInput
from libs.common.mistakes import mistakes
from libs.common.web import Tx, router
from services.disbursement.bank import StatementLine
from services.disbursement.handlers import bankfiles
from services.disbursement.handlers.cycles import load_cycle

api = router(prefix="/v1/cycles/{cycle_id}", tags=["cycles"])


class BankResults(BaseModel):
    """`status` of each: settled, failed or returned. As CSV the columns have the fields' names."""

    items: list[StatementLine] = Field(max_length=100_000)


@api.get("/bank-file")
async def download_bank_file(cycle_id: UUID, tx: Tx, finance: Finance, request: Request) -> Response:
    """What was prepared for the bank, whole: payees, accounts, amounts (CSV)."""
    cycle = await _seen(tx, finance, cycle_id)
    await audit.record(tx, finance, "download bank file", str(cycle_id))
    return Response(
        await bankfiles.write_bank_file(tx, request.app.state.sealer, cycle_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="bank-{cycle["area"]}-{cycle["period"]}.csv"'},
    )


@api.post("/bank-results", openapi_extra={"requestBody": {"content": {"application/json": {}, "text/csv": {}}}})
async def take_bank_results(cycle_id: UUID, tx: Tx, finance: Finance, request: Request) -> dict[str, int]:
    """The results as JSON `{items: [{payment_id, amount_fen, status, …}]}` or CSV. The same file twice is once."""
    await _seen(tx, finance, cycle_id)
    results = _parsed(request.headers.get("content-type", ""), await request.body())
    taken = await bankfiles.take_bank_results(tx, cycle_id, results.items, on=business_today())
    await audit.record(tx, finance, "take bank results", str(cycle_id), reason=None, **dict[str, Any](taken))
    return taken


def _parsed(content_type: str, body: bytes) -> BankResults:
    try:
        if content_type.startswith("text/csv"):
            rows = csv.DictReader(io.StringIO(body.decode("utf-8-sig")))
            return BankResults.model_validate({"items": [{k: v for k, v in row.items() if v} for row in rows]})
        return BankResults.model_validate_json(body)
    except UnicodeDecodeError as error:
        raise InvalidInput("文件不是 UTF-8 编码 (the file is not UTF-8)") from error
    except ValidationError as error:
        raise InvalidInput("see errors", errors=mistakes(error.errors()[:100])) from error


async def _seen(tx: Transaction, reader: Principal, cycle_id: UUID) -> dict[str, Any]:
    cycle = await load_cycle(tx, cycle_id)
    reader.require_sight(cycle["area"], "cycle")
    return cycle

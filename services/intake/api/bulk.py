"""Many applications at once over REST: NDJSON in, a result per line out."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from libs.common.auth import Principal, caller
from libs.common.clock import business_today
from libs.common.database import Database
from libs.common.errors import InvalidInput
from libs.common.idempotency import HEADER, IdempotentCall
from libs.common.web import PROBLEM_TYPE
from services.intake.api.doors import RATE_LIMITED, Keys, StreamedRoute
from services.intake.declarations import EXAMPLES
from services.intake.handlers.bulk import Line, submit_lines

LARGEST_BYTES = 16 << 20
MOST_LINES = 10_000

streamed = APIRouter(prefix="/v1", tags=["applications"], route_class=StreamedRoute, dependencies=RATE_LIMITED)

Submitter = Annotated[Principal, Depends(caller("partner", "township"))]


class LineResult(BaseModel):
    """`status`: as `POST /v1/applications` would have answered this line alone; the other fields go with it."""

    line: int
    status: int
    application_id: str | None = None
    person_id: str | None = None
    receipt_no: str | None = None
    type: str | None = None
    detail: str | None = None
    errors: list[dict[str, str]] = []


class BulkResult(BaseModel):
    """What became of each line, in their order."""

    accepted: int
    refused: int
    results: list[LineResult]


_NDJSON: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in EXAMPLES),
            }
        },
    }
}


@streamed.post("/applications/bulk", openapi_extra=_NDJSON)
async def submit_bulk(request: Request, keys: Keys, submitter: Submitter) -> BulkResult:
    """Files each line of an NDJSON body as `POST /v1/applications` would; a bad line stops none of the others.

    Sent again, a line that was filed is answered 409 with its application; under the same `Idempotency-Key` the whole
    answer is given again. At most 10,000 lines.
    """
    body = await request.body()
    lines = [(number, line) for number, line in enumerate(body.splitlines(), start=1) if line.strip()]
    if not lines or len(lines) > MOST_LINES:
        raise InvalidInput.at("body", f"应为 1 至 {MOST_LINES} 行 JSON (1 to {MOST_LINES} lines of JSON)")
    database: Database = request.app.state.database
    call = _idempotent(request, submitter, body)
    if call is not None and (answered := await _first_answer(request, call)) is not None:
        return answered

    done = await submit_lines(database, keys, submitter, lines, on=business_today())
    results = [_result(line) for line in done]
    accepted = sum(result.status == 201 for result in results)
    answer = BulkResult(accepted=accepted, refused=len(results) - accepted, results=results)
    if call is not None:
        response = Response(answer.model_dump_json(), media_type="application/json")
        async with database.transaction() as tx:
            if await call.first_answer(tx, wait_s=request.app.state.settings.idempotency_wait_s) is None:
                call.remember(tx, response)
    return answer


async def _first_answer(request: Request, call: IdempotentCall) -> BulkResult | None:
    database: Database = request.app.state.database
    async with database.transaction() as tx:
        stored = await call.first_answer(tx, wait_s=request.app.state.settings.idempotency_wait_s)
    return None if stored is None else BulkResult.model_validate_json(bytes(stored.body))


def _idempotent(request: Request, principal: Principal, body: bytes) -> IdempotentCall | None:
    key = request.headers.get(HEADER)
    return None if key is None else IdempotentCall.of(principal.sub, "/v1/applications/bulk", key, body)


def _result(line: Line) -> LineResult:
    if line.submission is not None:
        filed = line.submission.filed
        return LineResult(
            line=line.number,
            status=201,
            application_id=str(filed.application.application_id),
            person_id=filed.application.person_id,
            receipt_no=filed.receipt_no,
        )
    if line.refusal is None:
        return LineResult(line=line.number, status=500, detail="see the log by request id")
    refusal = line.refusal
    return LineResult(
        line=line.number,
        status=refusal.status,
        application_id=refusal.extra.get("application_id"),
        type=PROBLEM_TYPE + refusal.type,
        detail=refusal.detail or refusal.title,
        errors=refusal.errors,
    )

"""Ledgers of comparisons: exported, and proved by running a comparison again."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from libs.common.audit import record
from libs.common.auth import Principal, caller
from libs.common.web import Tx, router
from services.matching.api.parts import PartsOf
from services.matching.handlers.comparisons import read_comparison
from services.matching.handlers.ledgers import export_ledger, read_entries
from services.matching.handlers.reruns import rerun_comparison
from services.matching.papers import ledger_workbook

api = router(prefix="/v1/comparisons", tags=["comparisons"])

Reader = Annotated[Principal, Depends(caller("township", "cdpf", "civil_affairs", "auditor", "admin"))]
Prover = Annotated[Principal, Depends(caller("civil_affairs", "auditor", "admin"))]

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Rerun(BaseModel):
    """`same`: the stored inputs and rules are as they were, and gave the same leads. `changed` names what is not."""

    comparison_id: UUID
    same: bool
    leads: int
    digest: str
    recorded_digest: str
    changed: list[str]


@api.get("/{comparison_id}/ledger", response_class=PlainTextResponse)
async def read_ledger(comparison_id: UUID, tx: Tx, reader: Reader) -> PlainTextResponse:
    """NDJSON, one entry a line: `hash` is SM3 of the hash before it, a line feed, and the text of `entry`."""
    await read_comparison(tx, comparison_id, reader)
    return PlainTextResponse(await export_ledger(tx, comparison_id), media_type="application/x-ndjson")


@api.get("/{comparison_id}/ledger.xlsx", response_class=Response)
async def download_ledger(comparison_id: UUID, tx: Tx, reader: Reader) -> Response:
    """比对台账: inputs, rules, counts, each finding and what became of it."""
    await read_comparison(tx, comparison_id, reader)
    entries = [(entry.hash, json.loads(entry.body)) for entry in await read_entries(tx, comparison_id)]
    book = await asyncio.to_thread(ledger_workbook, entries)
    disposition = {"Content-Disposition": f'attachment; filename="ledger-{comparison_id}.xlsx"'}
    return Response(book, media_type=_XLSX, headers=disposition)


@api.post("/{comparison_id}/reruns", status_code=200)
async def rerun(comparison_id: UUID, tx: Tx, prover: Prover, parts: PartsOf) -> Rerun:
    """Runs an old comparison again from its stored inputs, under the rules of its own day. Nothing is opened by it."""
    row = await read_comparison(tx, comparison_id, prover)
    outcome: dict[str, Any] = await rerun_comparison(tx, row, parts.workshop)
    await record(tx, prover, "rerun comparison", str(comparison_id), same=outcome["same"])
    return Rerun.model_validate(outcome)

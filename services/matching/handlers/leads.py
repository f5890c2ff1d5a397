"""Leads become findings: one statement for one lead as for thousands (`open_leads.sql`)."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select

from libs.common.database import Transaction, new_id
from libs.common.working_days import working_days_after
from services.matching.findings import Lead
from services.matching.parameters import load_parameters
from services.matching.tables import claims

_OPEN_LEADS = (Path(__file__).parent / "open_leads.sql").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Noted:
    """How many findings of each kind were opened, and the ledger's entries of them and of evidence added to others."""

    opened: Counter[str]
    entries: list[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A lead as it was noted, and the finding that rests on it."""

    claim_id: UUID
    finding_id: UUID


async def open_leads(
    tx: Transaction, leads: Sequence[Lead], *, opened_on: date, comparison_id: UUID | None = None
) -> Noted:
    """Opens a finding for what is new, adds new claims to what is open. An earlier day alleged holds from earlier."""
    await tx.lock(*{lead.person_id for lead in leads})
    parameters = await load_parameters(tx)

    @functools.cache
    def due_on(area: str) -> date:
        return working_days_after(opened_on, parameters.number("finding.verification_days", area, opened_on))

    (row,) = await tx.fetch(
        _OPEN_LEADS,
        [lead.person_id for lead in leads],
        [lead.kind for lead in leads],
        [lead.about for lead in leads],
        [lead.source for lead in leads],
        [lead.alleged_on for lead in leads],
        [lead.area for lead in leads],
        [lead.hold_from for lead in leads],
        [due_on(lead.area) for lead in leads],
        [to_json(lead.detail).decode() if lead.detail else "{}" for lead in leads],
        [lead.feed_id for lead in leads],
        [lead.feed_row for lead in leads],
        [lead.reported_by for lead in leads],
        *([new_id() for _ in leads] for _ in ("claim_id", "finding_id", "event_id")),
        opened_on,
        comparison_id,
        tx.now.isoformat(),
        f'"traceparent":{json.dumps(tx.traceparent)},' if tx.traceparent else "",
    )
    tx.has_news = True
    return Noted(Counter(dict(zip(row["kinds"], row["counts"], strict=True))), row["entries"])


async def claim_of(tx: Transaction, lead: Lead) -> Claim | None:
    """The claim that this lead is or was, whatever became of its finding; None if it told only what was a fact."""
    found = await tx.connection.execute(
        select(claims.c.claim_id, claims.c.finding_id).where(
            claims.c.person_id == lead.person_id,
            claims.c.kind == lead.kind,
            claims.c.about == lead.about,
            claims.c.source == lead.source,
            claims.c.alleged_on == lead.alleged_on,
        )
    )
    row = found.one_or_none()
    return None if row is None else Claim(*row)

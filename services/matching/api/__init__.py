"""The REST door of matching, one module per noun."""

from __future__ import annotations

from services.matching.api import (
    comparisons,
    discrepancies,
    duties,
    events,
    evidence,
    feeds,
    findings,
    ledgers,
    outreach,
    papers,
    persons,
    proofs,
)

ROUTERS = [
    module.api
    for module in (
        events, feeds, comparisons, ledgers, discrepancies, findings, evidence, duties, outreach,
        papers, persons, proofs,
    )
]  # fmt: skip

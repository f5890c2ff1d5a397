"""The REST door of matching, one module per noun."""

from __future__ import annotations

from services.matching.api import comparisons, duties, events, evidence, feeds, findings, outreach, persons, proofs

ROUTERS = [module.api for module in (events, feeds, comparisons, findings, evidence, duties, outreach, persons, proofs)]

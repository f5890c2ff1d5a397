"""Matching: department feeds and pushed changes in, facts and findings out."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.daily import DailyTask
from libs.common.invariants import Invariant
from libs.common.service import Service, create_app, serve
from libs.common.settings import Settings
from services.matching.api import ROUTERS
from services.matching.api.feeds import LARGEST_BYTES
from services.matching.api.parts import Parts, keys_of
from services.matching.engine import DuckDb, Engine
from services.matching.evidence import LARGEST_BYTES as LARGEST_EVIDENCE_BYTES
from services.matching.evidence import EvidenceFolder
from services.matching.faces import NoFaces, SimulatedFaces
from services.matching.feed_intake import FeedIntake
from services.matching.feeds import FeedFolder
from services.matching.handlers.comparisons import Workshop
from services.matching.handlers.escalations import escalate_overdue
from services.matching.handlers.findings import flag_overdue
from services.matching.handlers.outreach import lapse_outreach
from services.matching.handlers.proofs import call_for_proofs
from services.matching.runs import ComparisonRuns
from services.matching.subscriptions import REBUILDABLES, SUBSCRIPTIONS

INVARIANTS = [
    Invariant(
        "confirmed findings are facts",
        "Every confirmed finding has become a fact of its kind about its person, from the day that was found out.",
        "SELECT f.finding_id FROM findings f LEFT JOIN facts a ON a.fact_id = f.fact_id AND a.finding_id = f.finding_id"
        " AND a.person_id = f.person_id AND a.kind = f.kind AND a.occurred_on = f.effective_on"
        " WHERE f.status = 'confirmed' AND a.fact_id IS NULL",
    ),
    Invariant(
        "facts are told once",
        "Every fact still in the log of events was published exactly once.",
        "SELECT a.fact_id, count(o.event_id) AS times FROM facts a"
        " LEFT JOIN outbox o ON o.aggregate = 'fact:' || a.fact_id"
        " WHERE a.known_at > (SELECT coalesce(min(created_on), CURRENT_DATE) FROM outbox)"
        " GROUP BY a.fact_id HAVING count(o.event_id) <> 1",
    ),
    Invariant(
        "findings rest on claims",
        "Every finding rests on something that somebody said.",
        "SELECT f.finding_id FROM findings f WHERE NOT EXISTS"
        " (SELECT 1 FROM claims c WHERE c.finding_id = f.finding_id AND c.person_id = f.person_id)",
    ),
    Invariant(
        "waivers were reminded in time",
        "Nobody is recorded as having waived who was not reminded in the office's time and let both clocks run.",
        "SELECT outreach_id FROM outreach WHERE status = 'lapsed'"
        " AND (reminded_on IS NULL OR reminded_on > remind_by OR lapses_after IS NULL OR lapsed_on <= lapses_after)",
    ),
    Invariant(
        "ledgers are whole",
        "No ledger of a comparison lacks an entry.",
        "SELECT comparison_id FROM ledger_entries GROUP BY comparison_id HAVING max(seq) + 1 <> count(*)",
    ),
]

SERVICE = Service(
    name="matching",
    version="0.1.0",
    title="Liangbu matching (数据比对)",
    routers=ROUTERS,
    rebuildables=REBUILDABLES,
    listens_to=("intake", "eligibility", "notification"),
    subscriptions=SUBSCRIPTIONS,
    bulk_from=("intake", "eligibility"),
    daily_tasks=[
        DailyTask("flag overdue findings", flag_overdue),
        DailyTask("let outreach lapse or alarm", lapse_outreach),
        DailyTask("call for proofs of life", call_for_proofs),
        DailyTask("raise what is overdue", escalate_overdue),
    ],
    invariants=INVARIANTS,
    workers=[lambda app: app.state.parts.intake, lambda app: app.state.parts.comparisons],
    larger_bodies={
        "/v1/feeds": LARGEST_BYTES,
        "/v1/evidence": LARGEST_EVIDENCE_BYTES,
        "/v1/face-checks": LARGEST_EVIDENCE_BYTES,
    },
)


def build(settings: Settings) -> FastAPI:
    keys = keys_of(settings)
    app = create_app(SERVICE, settings)
    folder = FeedFolder(settings.data_dir, settings.feed_store)
    workshop = Workshop(folder, _engine(settings, folder))
    app.state.parts = Parts(
        keys=keys,
        folder=folder,
        intake=FeedIntake(app.state.database, folder, keys),
        comparisons=ComparisonRuns(app.state.database, workshop),
        workshop=workshop,
        evidence=EvidenceFolder(settings.data_dir, keys.sealer),
        faces=SimulatedFaces() if settings.faces_simulated else NoFaces(),
    )
    return app


def _engine(settings: Settings, folder: FeedFolder) -> Engine:
    """DuckDB for `in-process`, otherwise the Spark at that address: `spark://host:7077`, `local[4]`."""
    if settings.engine == "in-process":
        return DuckDb(settings.engine_memory, folder.spill)
    from services.matching.spark import Spark  # an extra: only who runs it has it

    return Spark(settings.engine)


if __name__ == "__main__":
    serve("matching", build)

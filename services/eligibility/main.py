"""The composition root of eligibility: facts over time, policy as code."""

from __future__ import annotations

from datetime import date

from fastapi import FastAPI

from libs.common.daily import DailyTask
from libs.common.database import Database, Transaction
from libs.common.invariants import Invariant
from libs.common.repeating import chunk_by_chunk
from libs.common.service import Service, create_app, serve
from libs.common.settings import Settings
from services.eligibility.api import assessments, corrections, persons, policies, publication, simulations
from services.eligibility.handlers.blocked import tell_blocked
from services.eligibility.handlers.corrections import open_cases
from services.eligibility.handlers.layers import follow_release
from services.eligibility.handlers.policies import load_policy
from services.eligibility.handlers.reevaluation import reevaluate_chunk
from services.eligibility.handlers.simulations import simulate_chunk
from services.eligibility.subscriptions import SUBSCRIPTIONS

INVARIANTS = [
    Invariant(
        "entitled_by_application",
        "whoever is entitled to a month has an approved application (自愿申请)",
        """
        SELECT e.person_id, e.subsidy FROM (
            SELECT DISTINCT ON (person_id, subsidy) person_id, subsidy, schedule FROM entitlements
            ORDER BY person_id, subsidy, version DESC
        ) AS e
        WHERE e.schedule <> '[]' AND NOT EXISTS (
            SELECT 1 FROM applications a LEFT JOIN persons p ON p.person_id = a.person_id
            WHERE coalesce(p.merged_into, a.person_id) = e.person_id AND e.subsidy = ANY(a.granted)
        )
        """,
    ),
    Invariant(
        "months_entitled_once",
        "no month of a schedule is entitled twice",
        """
        SELECT person_id, subsidy, version FROM (
            SELECT e.person_id, e.subsidy, e.version, entry ->> 'from' AS since,
                lag(coalesce(entry ->> 'to', '9999-12')) OVER (
                    PARTITION BY e.person_id, e.subsidy, e.version ORDER BY position) AS until_before
            FROM entitlements e, jsonb_array_elements(e.schedule) WITH ORDINALITY AS listed (entry, position)
        ) AS months WHERE since <= until_before
        """,
    ),
]


async def _open_cases(tx: Transaction, as_of: date) -> int:
    return await open_cases(tx, await load_policy(tx), as_of)


async def _follow_release(app: FastAPI) -> None:
    database: Database = app.state.database
    async with database.transaction() as tx:
        await follow_release(tx)


SERVICE = Service(
    name="eligibility",
    version="0.1.0",
    title="Liangbu eligibility (资格认定)",
    routers=[assessments.api, persons.api, policies.api, corrections.api, publication.api, simulations.api],
    subscriptions=SUBSCRIPTIONS,
    listens_to=("intake", "matching"),
    bulk_from=("intake",),
    upstreams=("intake", "matching"),
    daily_tasks=[DailyTask("correction cases", _open_cases)],
    invariants=INVARIANTS,
    on_start=_follow_release,
    on_set_aside=tell_blocked,
    workers=[
        lambda app: chunk_by_chunk("re-evaluation", app.state.database, reevaluate_chunk),
        lambda app: chunk_by_chunk("simulation", app.state.database, simulate_chunk),
    ],
)


def build(settings: Settings) -> FastAPI:
    return create_app(SERVICE, settings)


if __name__ == "__main__":
    serve("eligibility", build)

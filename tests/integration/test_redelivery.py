"""Each event twice, and all of them shuffled, under new envelope ids too: intake and matching end in the same state.

Eligibility, disbursement and notification have the same proof beside their own tests.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.events.envelope import EventData
from libs.common.period import Period
from tests.integration.intake import Office, assessed
from tests.integration.matching import Matching, entitled

SEEDS = range(5)


def doubled_and_shuffled(events: list[EventData], seed: int) -> list[list[EventData]]:
    """Every event twice, in any order, cut into batches anywhere."""
    chance = random.Random(seed)
    twice = [*events, *events]
    chance.shuffle(twice)
    cuts = sorted(chance.sample(range(1, len(twice)), 3))
    return [twice[a:b] for a, b in zip([0, *cuts], [*cuts, len(twice)], strict=True)]


async def intake_after(office: Office, batches: list[list[EventData]], application_id: str, person_id: str) -> Any:
    for batch in batches:
        await office.tell(*batch)
    application = await office.read(application_id)
    entitlements = await office.rows(
        "SELECT subsidy, version, is_open, last_period FROM entitlements"
        f" WHERE person_id = '{person_id}' ORDER BY subsidy"
    )
    approvals = len(await office.told("application.approved", person_id))
    return application["status"], application["granted"], [dict(row) for row in entitlements], approvals


@pytest.mark.parametrize("seed", SEEDS)
async def test_intake_ends_in_the_same_state(office: Office, seed: int) -> None:
    ends = []
    for order in (None, seed):
        submitted = await office.submit()
        application_id, person_id = submitted["application_id"], submitted["person_id"]
        await office.approve_by_three(application_id)
        answers = [assessed(application_id, *granted, version=version) for version, granted in ANSWERS]
        events: list[EventData] = [answer.model_copy(update={"person_id": person_id}) for answer in answers]
        events += [
            entitled(person_id, to=Period(2027, 1), version=2),
            entitled(person_id, to=None, version=1),
            entitled(person_id, subsidy="care", version=1),
        ]
        batches = [[event] for event in events] if order is None else doubled_and_shuffled(events, order)
        ends.append(await intake_after(office, batches, application_id, person_id))
    assert ends[0] == ends[1]
    assert ends[0][0] == "approved"
    assert ends[0][-1] == 1


ANSWERS: list[tuple[int, tuple[str, ...]]] = [(1, ()), (2, ("care",)), (4, ("living",))]
"""What eligibility answered to versions of the application: the last one decides."""


async def roster(matching: Matching, person_id: str) -> list[tuple[Any, ...]]:
    async with matching.running.app.state.database.transaction() as tx:
        found = await tx.connection.execute(
            text(
                "SELECT subsidy, version, area, schedule, stopped_because FROM roster WHERE person_id = :id"
                " ORDER BY subsidy"
            ),
            {"id": person_id},
        )
        return [tuple(row) for row in found]


@pytest.mark.parametrize("seed", SEEDS)
async def test_matching_ends_in_the_same_state(matching: Matching, seed: int) -> None:
    ends = []
    for order in (None, seed):
        person_id = f"p1-{order}"
        events: list[EventData] = [
            entitled(person_id, version=1),
            entitled(person_id, to=Period(2026, 3), version=2),
            entitled(person_id, to=Period(2026, 5), version=3),
            entitled(person_id, subsidy="care", version=1),
            entitled(person_id, subsidy="care", to=Period(2026, 4), version=2),
        ]
        for batch in [[event] for event in events] if order is None else doubled_and_shuffled(events, order):
            await matching.hear(*batch)
        ends.append(await roster(matching, person_id))
    assert ends[0] == ends[1]
    assert [row[1] for row in ends[0]] == [2, 3]

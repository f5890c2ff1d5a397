"""A re-evaluation by the thousand: it survives being killed, and never stands before an urgent stop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from libs.common.database import is_transient
from libs.common.events.matching import PersonDied
from services.eligibility.handlers import policies, reevaluation
from services.eligibility.handlers.layers import follow_release
from services.eligibility.main import build
from services.eligibility.policy import rules
from services.eligibility.policy.parameters import JUDGEMENT, PolicySet, read_layer, shipped
from tests.conftest import Databases, Issuer, Running, eventually, running
from tests.integration.test_eligibility import LAYER, Eligibility, _approve, approved, fact, received

PERSONS = 300
WORKER = """
import asyncio, sys
from libs.common.database import Database
from libs.common.repeating import chunk_by_chunk
from services.eligibility.handlers import policies, reevaluation
from services.eligibility.handlers.layers import follow_release

async def work():
    reevaluation._CHUNK_PERSONS = 10
    database = Database(sys.argv[1], service="eligibility")
    await chunk_by_chunk("re-evaluation", database, reevaluation.reevaluate_chunk).run()

asyncio.run(work())
"""


@pytest.fixture
async def service(databases: Databases, make_settings: Callable[..., Any]) -> AsyncIterator[Running]:
    settings = make_settings(await databases.fresh("eligibility"))
    async with running(build(settings), settings) as started:
        yield started


async def _place(eligibility: Eligibility) -> tuple[int, int, bool]:
    """Persons judged so far, entitlements that were changed, and whether the job has finished."""
    async with eligibility.database.transaction() as tx:
        found = await tx.connection.execute(
            text(
                "SELECT persons, changed, finished_at IS NOT NULL,"
                " (SELECT count(*) FROM entitlements WHERE cause = 'policy.changed') FROM reevaluations"
            )
        )
        persons, changed, finished, stored = found.one()
    assert changed == stored, "the place reached and its effects are one transaction"
    return persons, changed, finished


async def _work_to_the_end(eligibility: Eligibility) -> bool:
    async with eligibility.database.transaction() as tx:
        await reevaluation.reevaluate_chunk(tx)
    return (await _place(eligibility))[2]


async def test_a_job_that_is_killed_goes_on_where_it_was_and_judges_nobody_twice(
    service: Running, issuer: Issuer
) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(*(approved(person=f"p1-{number:03}") for number in range(PERSONS)))
    await _approve(service, issuer, LAYER.format(area="5301", amount=12000))
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, eligibility.database.url)

    async def begun() -> bool:
        return (await _place(eligibility))[0] > 0

    assert await eventually(begun)
    worker.kill()
    await worker.wait()
    persons, _, finished = await _place(eligibility)
    assert 0 < persons < PERSONS
    assert not finished

    assert await eventually(lambda: _work_to_the_end(eligibility))
    assert await _place(eligibility) == (PERSONS, PERSONS, True)
    told = await eligibility.published("entitlement.changed.v1")
    again = [event["person_id"] for event in told if event["cause"] == "policy.changed"]
    assert sorted(again) == [f"p1-{number:03}" for number in range(PERSONS)]
    [_, last] = await eligibility.published("policy.reevaluated.v1")
    assert (last["status"], last["persons"], last["changed"]) == ("finished", PERSONS, PERSONS)


async def test_an_urgent_stop_overtakes_a_job_in_its_middle(
    service: Running, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(*(approved(person=f"p1-{number}") for number in range(3)))
    await _approve(service, issuer, LAYER.format(area="5301", amount=12000))
    monkeypatch.setattr(reevaluation, "_CHUNK_PERSONS", 1)
    async with eligibility.database.transaction() as chunk:  # the first person's chunk, not through yet
        assert await reevaluation.reevaluate_chunk(chunk)
        async with asyncio.timeout(10):
            await eligibility.take(fact(PersonDied, date(2026, 6, 10), person="p1-2"))
        stop = [("2026-03", "2026-04", 10000), ("2026-05", "2026-06", 12000)]
        assert await eligibility.months("living", "p1-2") == stop
        assert (await _place(eligibility))[0] == 0, "nothing of the job has been committed"
        async with eligibility.database.transaction() as tx:
            lanes = await tx.connection.execute(
                text("SELECT DISTINCT topic FROM outbox WHERE type = 'entitlement.changed.v1' AND key = 'p1-2'")
            )
            assert list(lanes.scalars()) == ["liangbu.eligibility"]

    assert await eventually(lambda: _work_to_the_end(eligibility))
    assert await eligibility.months("living", "p1-2") == stop
    assert await _place(eligibility) == (3, 2, True)
    versions = [e["version"] for e in await eligibility.published("entitlement.changed.v1") if e["person_id"] == "p1-2"]
    assert versions == [1, 1, 2, 2], "living and care, before and after the stop; the job found nothing left to change"


async def test_who_is_new_as_a_policy_comes_into_force_is_judged_by_it_too(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)

    async def approved_or_waiting() -> bool:
        return approval.done() or await eligibility.waits_for_a_lock()

    async with eligibility.database.transaction() as judging:  # by the policy before, and nobody sees it yet
        await eligibility.projection.apply(judging, [received(approved(person="p1-new"))])
        approval = asyncio.create_task(_approve(service, issuer, LAYER.format(area="5301", amount=12000)))
        assert await eventually(approved_or_waiting)
        async with eligibility.database.transaction() as job:
            await reevaluation.reevaluate_chunk(job)
    await approval
    assert await eventually(lambda: _work_to_the_end(eligibility))
    months = await eligibility.months("living", "p1-new")
    assert months == [("2026-03", "2026-04", 10000), ("2026-05", "2030-04", 12000)]


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Callable[[PolicySet], None]:
    """Makes this process one of a release that brings this policy."""

    def run(brought: PolicySet) -> None:
        monkeypatch.setattr(policies, "shipped", lambda: brought)
        monkeypatch.setattr(policies, "_assembled", {})

    return run


async def _start(eligibility: Eligibility) -> None:
    async with eligibility.database.transaction() as tx:
        await follow_release(tx)


async def test_whom_the_values_of_a_new_release_touch_is_judged_anew_once(
    service: Running, release: Callable[[PolicySet], None]
) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(approved())
    release(shipped().with_layers([read_layer(LAYER.format(area="53", amount=12000))]))
    for _ in range(2):  # two replicas are started
        await _start(eligibility)
    assert await eventually(lambda: _work_to_the_end(eligibility))
    assert await eligibility.months("living") == [("2026-03", "2026-04", 10000), ("2026-05", "2030-04", 12000)]
    assert [told["area"] for told in await eligibility.published("policy.reevaluated.v1")] == ["53", "53"]


async def test_a_release_that_judges_otherwise_judges_everybody_anew(
    service: Running, release: Callable[[PolicySet], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(approved(person="p1-a"), approved(person="p1-b"))
    nobody = replace(rules.alive, judge=lambda days, subsidy: np.zeros_like(days.alive))
    monkeypatch.setitem(rules.RULES, "living", (nobody, *rules.RULES["living"][1:]))
    release(replace(shipped(), judgement=JUDGEMENT + 1))
    for _ in range(2):
        await _start(eligibility)
    assert await eventually(lambda: _work_to_the_end(eligibility))
    assert [await eligibility.months("living", person) for person in ("p1-a", "p1-b")] == [[], []]
    assert await eligibility.months("care", "p1-a"), "the other subsidy's rules are as they were"
    told = await eligibility.published("policy.reevaluated.v1")
    assert [(event["area"], event["status"]) for event in told] == [("", "started"), ("", "finished")]


async def test_a_process_of_the_release_before_judges_nobody_once_a_new_one_has_started(
    service: Running, release: Callable[[PolicySet], None]
) -> None:
    eligibility, before = Eligibility(service.app.state.database), shipped()
    await eligibility.take(approved(person="p1-a"))
    release(replace(before, judgement=JUDGEMENT + 1))
    await _start(eligibility)
    release(before)  # what follows happens in the old one
    with pytest.raises(policies.Superseded) as waits:
        await eligibility.take(approved(person="p1-b"))
    assert is_transient(waits.value), "a reader tries again until it is replaced, and sets nothing aside"
    with pytest.raises(policies.Superseded):
        await _work_to_the_end(eligibility)
    assert (await _place(eligibility))[0] == 0
    await _start(eligibility)  # the new one is taken back
    await eligibility.take(approved(person="p1-b"))
    assert await eligibility.months("living", "p1-b")

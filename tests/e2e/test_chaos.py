"""Processes killed at the worst moments, the broker lost, the bank misbehaving: every payment is made once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import psutil
import pytest

from tests.e2e.world import Person, World, until


@pytest.fixture
async def county(world: World) -> tuple[str, list[Person]]:
    """Eight persons with both subsidies, money appropriated."""
    area = world.county()
    await world.appropriate(area)
    people = await asyncio.gather(*(world.granted(area) for _ in range(8)))
    return area, list(people)


async def settled_once(world: World, area: str, people: list[Person], periods: list[str]) -> None:
    """Every person, subsidy and month was credited exactly once, at the bank and in the books."""
    for person in people:
        credited = Counter(item["amount_fen"] for item in await world.transfers(person) if item["status"] == "settled")
        assert credited == {10000: len(periods), 11000: len(periods)}, person.account
        for period in periods:
            await world.until_books(person, "living", period, paid_fen=10000, in_flight_fen=0, owed_fen=0)
            await world.until_books(person, "care", period, paid_fen=11000, in_flight_fen=0, owed_fen=0)


async def test_disbursement_killed_while_it_sends(world: World, county: tuple[str, list[Person]]) -> None:
    """Between the bank's acceptance and our commit: the answer is slow, and we die waiting for it."""
    area, people = county
    await world.heard()
    cycle = await world.draw_up(area, "2026-01")
    await faults(world, latency_ms=1500)
    try:
        await world.submit(area, cycle["cycle_id"])
        await until(lambda: _bank_has(world, people), "the bank to have accepted something", within_s=300)
        world.kill("disbursement")
    finally:
        await no_faults(world)
    await world.is_back("disbursement")
    await world.cycle_reaches(area, cycle["cycle_id"], "settled", "closed", within_s=300)
    await settled_once(world, area, people, ["2026-01"])
    await world.invariants_hold()


async def test_a_bank_that_takes_and_does_not_answer(world: World, county: tuple[str, list[Person]]) -> None:
    area, people = county
    await faults(
        world,
        timeout_after_accept_rate=0.5,
        http_500_rate=0.3,
        drop_webhook_rate=0.3,
        duplicate_webhook_rate=0.5,
        reorder=True,
    )
    try:
        await world.heard()
        cycle = await world.draw_up(area, "2026-01")
        await world.submit(area, cycle["cycle_id"])
        await world.cycle_reaches(area, cycle["cycle_id"], "settled", "closed", within_s=300)
    finally:
        await no_faults(world)
    await settled_once(world, area, people, ["2026-01"])
    await world.invariants_hold()


async def test_services_killed_between_commit_and_publish(world: World) -> None:
    """A stop was acknowledged, and its service dies before it can publish: the stop takes effect all the same."""
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area)
    await world.push(person, "low_income.exited", "2026-02-01")
    world.kill("matching")
    await world.is_back("matching")
    await world.until_months(person, "living", [("2026-01", "2026-01", 10000)])
    await world.push(person, "certificate.expired", "2026-03-01")
    world.kill("eligibility")
    await world.is_back("eligibility")
    await world.until_months(person, "care", [("2026-01", "2026-02", 11000)])


async def test_the_broker_killed_and_replaced_by_an_empty_one(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    before = await world.granted(area)
    _kill(world, "tansu", "java")
    during = world.person(area)
    await world.apply(during, "2026-01-10", ["living", "care"])
    await world.review_all(during)
    await until(lambda: _approved(world, during), "an approval through the new broker", within_s=300)
    await world.push(before, "low_income.exited", "2026-02-01")
    await until(lambda: _stopped(world, before), "a stop through the new broker", within_s=300)
    await world.pay(area, "2026-02")
    await world.until_books(before, "living", "2026-01", paid_fen=10000)
    assert (await world.books(before, "living")).get("2026-02", {}).get("paid_fen", 0) == 0
    await world.until_books(during, "living", "2026-02", paid_fen=10000)
    await world.invariants_hold()


async def test_the_database_server_killed_in_the_middle_of_a_cycle(
    world: World, county: tuple[str, list[Person]]
) -> None:
    """Every service and the bank lose their connections at once; nobody has to be started again by hand."""
    area, people = county
    await world.heard()
    cycle = await world.draw_up(area, "2026-01")
    await world.submit(area, cycle["cycle_id"])
    _kill(world, "postgres")
    for name in ("onecard_mock", "intake", "eligibility", "matching", "disbursement", "notification"):
        await world.is_back(name)
    await world.cycle_reaches(area, cycle["cycle_id"], "settled", "closed", within_s=300)
    await settled_once(world, area, people, ["2026-01"])
    await world.invariants_hold()


async def test_a_stop_acknowledged_before_the_submission_is_never_paid(world: World) -> None:
    """The draft is older than the stop; the submission is asked for right after the stop was acknowledged."""
    area = world.county()
    await world.appropriate(area)
    people = [await world.granted(area) for _ in range(3)]
    await world.heard()
    cycle = await world.draw_up(area, "2026-01")
    path = f"/v1/cycles/{cycle['cycle_id']}"
    await world.post("disbursement", f"{path}/concurrence", "cdpf", area=area)
    await world.post("disbursement", f"{path}/approval", "finance", area=area)
    await world.push(people[0], "low_income.exited", "2026-01-01")
    await world.post("disbursement", f"{path}/submission", "finance", area=area)
    await world.cycle_reaches(area, cycle["cycle_id"], "settled", "closed")
    assert sorted(item["amount_fen"] for item in await world.transfers(people[0])) == [11000]
    for person in people[1:]:
        assert sorted(item["amount_fen"] for item in await world.transfers(person)) == [10000, 11000]


async def faults(world: World, **what: Any) -> None:
    answer = await world.http.post(world.url("onecard_mock", "/v1/faults"), json=what)
    assert answer.status_code < 300, answer.text


async def no_faults(world: World) -> None:
    await world.http.delete(world.url("onecard_mock", "/v1/faults"))


def _kill(world: World, *names: str) -> None:
    """Kills one process of the launcher's, as a crash would end it."""
    for process in psutil.Process(world.process.pid).children():
        if process.name() in names:
            process.kill()
            return
    raise AssertionError(f"none of {names} among the launcher's children")


async def _bank_has(world: World, people: list[Person]) -> Any:
    return (await world.transfers(people[0])) or None


async def _approved(world: World, person: Person) -> Any:
    answer = await world.get("intake", f"/v1/applications/{person.application_id}", area=person.area)
    return answer if answer["status"] == "approved" else None


async def _stopped(world: World, person: Person) -> Any:
    return (await world.months(person, "living")) == [("2026-01", "2026-01", 10000)] or None

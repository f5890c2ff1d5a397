"""A month's payments, from what is entitled to the closed cycle, on real parts."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import python_calamine

from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import World, world


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


async def test_a_cycle_pays_every_month_that_is_due_and_closes_by_itself(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-01", amount_fen=10_000)
    await person.entitled("2026-03", amount_fen=11_000, subsidy="care")
    await here.heard()

    cycle = await here.drawn_up(area, "2026-03")
    assert cycle["status"] == "draft"
    assert (cycle["counts"]["payable"], cycle["amount_fen"]) == (4, 41_000)
    cycle = await here.paid(area, "2026-03")

    assert [(p["period"], p["subsidy"], p["amount_fen"], p["status"]) for p in await person.payments()] == [
        ("2026-01", "living", 10_000, "settled"),
        ("2026-02", "living", 10_000, "settled"),
        ("2026-03", "care", 11_000, "settled"),
        ("2026-03", "living", 10_000, "settled"),
    ]
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    assert sum(t["amount_fen"] for t in await here.transfers_to(person.account)) == 41_000
    [book] = [b for b in (await here.get(f"/v1/appropriations?area={area}"))["items"] if b["subsidy"] == "living"]
    assert book["balances"] == {
        "appropriated_fen": 10**9,
        "available_fen": 10**9 - 30_000,
        "committed_fen": 0,
        "clearing_fen": 0,
        "paid_fen": 30_000,
    }
    await here.invariants_hold()

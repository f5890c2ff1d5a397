"""A cycle while everything goes wrong: the bank lies, drops and stalls, disbursement and the bank are killed at random.

Afterwards every payment was made once, at the bank and in the books. `LIANGBU_CHAOS=full` plays it with 5,000 payments
and 20 kills.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.people import AMOUNT_FEN, Person
from tests.chaos.processes import Processes, processes
from tests.conftest import Databases, Issuer, eventually

FULL = os.environ.get("LIANGBU_CHAOS") == "full"
COUNTIES, PERSONS_EACH, KILLS = (10, 500, 20) if FULL else (2, 150, 4)
WITHIN_S = 900 if FULL else 300
SEED = 20_260_301
RATE = 0.1


async def test_every_payment_is_made_once_whoever_is_killed_and_whatever_the_bank_does(
    databases: Databases, issuer: Issuer, tmp_path: Path
) -> None:
    dice = Random(SEED)
    async with processes(
        databases, issuer, tmp_path, LIANGBU_BANK_BATCH_SIZE="25", LIANGBU_BANK_TIMEOUT_S="3"
    ) as running:
        people = [one for n in range(COUNTIES) for one in await running.people(f"53{n + 1:02d}01", PERSONS_EACH)]
        refused = dice.sample(people, 2 * int(RATE * len(people)))
        failing, returning = refused[::2], refused[1::2]
        await running.ask_bank("POST", "/v1/faults", json=_faults(failing, returning))

        kills = asyncio.create_task(_kill(running, dice))
        cycles = await asyncio.gather(*(running.submitted(area) for area in _areas(people)))
        await kills
        for cycle_id in cycles:
            await running.cycle_is(cycle_id, "settled", "closed", within_s=WITHIN_S)

        await _results_have_arrived(running, {"failed": len(failing), "returned": len(returning)})
        corrected = await running.moved_to(refused)
        await _accounts_have_arrived(running, len(corrected))
        again = [await running.submitted(area) for area in _areas(corrected)]
        for cycle_id in again:
            await running.cycle_is(cycle_id, "settled", "closed", within_s=WITHIN_S)
        await running.ask_bank("DELETE", "/v1/faults")

        await _paid_once_at_the_bank(running, people, corrected)
        await _clean(running, [*cycles, *again])
        invariants = await running.ask("GET", "/v1/invariants", "admin")
        assert invariants["holds"], invariants


def _faults(failing: list[Person], returning: list[Person]) -> dict[str, Any]:
    return {
        "latency_ms": 20,
        "http_500_rate": RATE,
        "timeout_after_accept_rate": RATE,
        "drop_webhook_rate": RATE,
        "duplicate_webhook_rate": RATE,
        "reorder": True,
        "sms_missing_field_rate": RATE,
        "fail_accounts": {one.account: "dormant" for one in failing},
        "return_accounts": {one.account: "closed" for one in returning},
    }


def _areas(people: list[Person]) -> list[str]:
    return sorted({one.area for one in people})


async def _kill(running: Processes, dice: Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(dice.uniform(0.2, 2.0))
        name = dice.choice(["disbursement", "disbursement", "onecard_mock"])
        running.kill(name)
        running.start(name)
        await running.is_up(name)


async def _results_have_arrived(running: Processes, wanted: dict[str, int]) -> None:
    """A return comes after its settlement, when the cycle is settled already: the statement tells it at the latest."""
    for _ in range(WITHIN_S):
        found = await running.ask("POST", "/v1/reconciliations", "finance", area="53", period="2026-03")
        if "status_differs" not in found["differences"]:
            break
        await asyncio.sleep(1)
    async with running.database.transaction() as tx:
        told = await tx.connection.exec_driver_sql("SELECT status, count(*) FROM payments GROUP BY status")
        counted = {row[0]: row[1] for row in told}
    assert {name: counted.get(name, 0) for name in wanted} == wanted, counted


async def _accounts_have_arrived(running: Processes, count: int) -> None:
    async def arrived() -> bool:
        async with running.database.transaction() as tx:
            found = await tx.connection.exec_driver_sql("SELECT count(*) FROM payees WHERE version = 2")
            return bool(found.scalar_one() == count)

    await eventually(arrived, within_s=300)


async def _paid_once_at_the_bank(running: Processes, people: list[Person], corrected: list[Person]) -> None:
    accounts = {one.person_id: one.account for one in people} | {one.person_id: one.account for one in corrected}
    transfers = (await running.ask_bank("GET", "/v1/transfers"))["items"]
    settled = Counter((item["account"], item["amount_fen"]) for item in transfers if item["status"] == "settled")
    assert settled == Counter((account, AMOUNT_FEN) for account in accounts.values())


async def _clean(running: Processes, cycles: list[str]) -> None:
    """Nothing differs but the SMS that the bank lost or cut short; once a person has answered for these, nothing."""
    for _ in range(60):  # of a long list a page at a time
        found = await running.ask("POST", "/v1/reconciliations", "finance", area="53", period="2026-03")
        assert set(found["differences"]) <= {"sms_missing", "sms_incomplete"}, set(found["differences"])
        for case in [case for cases in found["differences"].values() for case in cases]:
            await running.ask("POST", f"/v1/cases/{case['case_id']}/resolution", "finance", resolution="银行已补发短信")
        if found["clean"]:
            break
    assert found["clean"], found
    for cycle_id in cycles:
        await running.cycle_is(cycle_id, "closed", within_s=WITHIN_S)

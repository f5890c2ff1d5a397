"""A worker's loop: at once again after work, patient with what passes, loud about everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common import repeating
from libs.common.database import Database
from libs.common.repeating import Repeating

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


async def test_a_step_is_repeated_until_it_is_stopped_and_its_client_is_closed_then() -> None:
    done: list[str] = []

    @asynccontextmanager
    async def client() -> AsyncIterator[None]:
        done.append("opened")
        yield
        done.append("closed")

    async def step() -> bool:
        done.append("step")
        if done.count("step") == 3:
            worker.stop()
        return True

    worker = Repeating("test", Database(NOWHERE, service="test"), step, client=client())
    await asyncio.wait_for(worker.run(), 10)
    assert done == ["opened", "step", "step", "step", "closed"]


async def test_a_database_that_is_away_is_waited_for() -> None:
    tries = 0

    async def step() -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConnectionRefusedError
        worker.stop()
        return False

    worker = Repeating("test", Database(NOWHERE, service="test"), step)
    await asyncio.wait_for(worker.run(), 10)
    assert tries == 2


async def test_who_leaves_it_work_ends_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "_IDLE_S", 3600.0)
    steps = 0

    async def step() -> bool:
        nonlocal steps
        steps += 1
        if steps == 1:
            asyncio.get_running_loop().call_later(0.01, worker.wake)
        else:
            worker.stop()
        return False

    worker = Repeating("test", Database(NOWHERE, service="test"), step)
    await asyncio.wait_for(worker.run(), 10)
    assert steps == 2


async def test_whatever_else_goes_wrong_ends_the_worker() -> None:
    async def step() -> bool:
        raise LookupError("a defect")

    with pytest.raises(LookupError, match="a defect"):
        await Repeating("test", Database(NOWHERE, service="test"), step).run()

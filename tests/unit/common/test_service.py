"""Workers go on until they are stopped, whatever their libraries cancel within themselves."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.service import keep_running


class Reader:
    """Waits for a task of its library; the first is cancelled by the library itself."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self) -> None:
        self.runs += 1
        waiting = asyncio.create_task(asyncio.sleep(60 if self.runs == 1 else 0))
        if self.runs == 1:
            asyncio.get_running_loop().call_soon(waiting.cancel)
        await waiting

    def stop(self) -> None:
        return


async def test_a_worker_whose_library_cancelled_its_own_task_runs_again() -> None:
    reader = Reader()
    await keep_running(reader)
    assert reader.runs == 2


async def test_a_worker_that_is_cancelled_ends() -> None:
    class Endless(Reader):
        async def run(self) -> None:
            await asyncio.sleep(60)

    task = asyncio.create_task(keep_running(Endless()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

"""One embedded system for all end-to-end tests; each test works in counties of its own."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

pytest.register_assert_rewrite("tests.e2e.world")

from tests.e2e.world import World, free_base_port, start, until  # noqa: E402 (asserts are rewritten first)


@pytest.fixture(scope="session")
async def world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="liangbu-e2e-", ignore_cleanup_errors=True) as folder:
        home, base_port = Path(folder) / "home", free_base_port()
        process = start(home, base_port)
        try:
            await until(lambda: _is_up(home, base_port, process), "the system to be up", within_s=300)
            world = World(home, base_port, process)
            yield world
            await world.http.aclose()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


async def _is_up(home: Path, base_port: int, process: object) -> bool | None:
    code = process.poll()  # type: ignore[attr-defined]
    assert code is None, f"the launcher ended with {code}:\n{(home / 'up.log').read_text()[-3000:]}"
    try:
        async with httpx.AsyncClient(timeout=2) as http:
            answers = [
                await http.get(f"http://127.0.0.1:{base_port + offset}/readyz") for offset in (0, 1, 2, 3, 4, 5, 10)
            ]
    except httpx.TransportError:
        return None
    return all(answer.status_code == 200 for answer in answers) or None

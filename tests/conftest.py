"""Real parts for tests: one PostgreSQL 18 and one Kafka-protocol broker per session, a fresh database per test."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deploy.local.broker import Broker
from deploy.local.postgres import PostgresServer
from libs.common import migrations
from libs.common.auth import Role
from libs.common.issuer import issue_token, new_key_pair
from libs.common.settings import Settings
from tests.ports import free_base_port

pytest.register_assert_rewrite("tests.e2e.world")

from tests.e2e.world import World, start, until_up  # noqa: E402 (its asserts are rewritten first)

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 12 << 30


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Where a server under test keeps its data: in memory, if there is room for all of it (5 GB) and to spare.

    Each of 400 databases is a copy of 300 files, which a disk takes ten times as long to make.
    """
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    for left in _MEMORY.glob("liangbu-of-*"):  # by a run that was killed
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f"liangbu-of-{os.getpid()}-", dir=_MEMORY if in_memory else None, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with (
        scratch_folder() as home,
        PostgresServer(home, databases=("spare",), durable=False) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture(scope="session")
async def world() -> AsyncIterator[World]:
    """One embedded system for all tests from outside; each works in counties of its own."""
    with scratch_folder() as folder:
        home, base_port = folder / "home", free_base_port()
        process = start(home, base_port)
        try:
            await until_up(home, base_port, process)
            world = World(home, base_port, process)
            yield world
            await world.http.aclose()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@dataclass
class Databases:
    """Fresh databases, copied from a template that the real migrations built."""

    server: PostgresServer
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _templates: set[str] = field(default_factory=set)

    async def fresh(self, service: str) -> str:
        """The address of a new, migrated database of `service`."""
        template = f"template_{service}"
        if template not in self._templates:
            self.server.create_databases(template)
            await asyncio.to_thread(migrations.upgrade, service, self.server.url(template))
            self._templates.add(template)
        name = f"{service}_{next(self._numbers)}"
        await asyncio.to_thread(self.server.execute, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.server.url(name)


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    return Databases(postgres)


@dataclass(frozen=True)
class Issuer:
    """Signs tokens that the apps under test accept."""

    private_key: str
    public_key: str

    def bearer(self, role: Role, area: str = "530102", sub: str | None = None, **claims: Any) -> dict[str, str]:
        token = issue_token(self.private_key, role=role, area=area, subject=sub, **claims)
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer(*new_key_pair())


_PERSON_KEYS = "1:" + secrets.token_hex(32)
_SEALING_KEYS = "k1:" + secrets.token_hex(16)


@pytest.fixture
def make_settings(broker: Broker, issuer: Issuer) -> Callable[..., Settings]:
    """Settings of a service under test. Topics are shared by all tests; groups are each test's own."""
    suffix = "." + secrets.token_hex(4)

    def make(database_url: str, **changes: Any) -> Settings:
        return Settings(
            database_url=database_url,
            kafka_bootstrap=broker.bootstrap,
            kafka_group_suffix=suffix,
            kafka_partitions=2,
            jwt_public_key=issuer.public_key,
            person_keys=_PERSON_KEYS,
            sealing_keys=_SEALING_KEYS,
            watermark_interval_s=0.1,
            outbox_poll_s=0.05,
            **{"roles": "api", "faces_simulated": True, **changes},
        )

    return make


@dataclass(frozen=True)
class Running:
    """A started app: `http` calls it in process; `app.state.database` is its database."""

    app: FastAPI
    http: httpx.AsyncClient
    settings: Settings


@asynccontextmanager
async def running(app: FastAPI, settings: Settings) -> AsyncIterator[Running]:
    """The app with its lifespan entered: relay, consumers and workers run as its settings say."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app=app)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://liangbu.test"))
        yield Running(app, http, settings)


async def eventually(check: Callable[[], Awaitable[Any]], *, within_s: float = 180.0) -> Any:
    """The first truthy result of `check`; the last result's failure after `within_s`."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        result = await check()
        if result:
            return result
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {within_s} s; last: {result!r}")
        await asyncio.sleep(0.05)

"""A service put together: its app, its relay, its consumers and workers, started and stopped with the process.

A service's `main.py` is its composition root: it says what the service consists of, and this module runs it.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from sqlalchemy import text

from libs.common.auth import TokenVerifier
from libs.common.clock import business_today
from libs.common.consumer import Consumer
from libs.common.daily import DailyTask, Scheduler, with_upkeep
from libs.common.database import Database, is_transient
from libs.common.events.envelope import bulk_topic_of, topic_of
from libs.common.invariants import Invariant
from libs.common.operations import operations_router
from libs.common.outbox import Relay
from libs.common.platform_schema import ensure_month_partitions
from libs.common.projection import Projection, SetAside, Subscription
from libs.common.rebuild import Rebuildable
from libs.common.settings import PORT_OFFSETS, Settings, settings_from_environment
from libs.common.telemetry import configure_logging
from libs.common.web import BodyLimit, RequestLog, install_problem_handlers

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection, so that none is closed just as they use it again."""


class Worker(Protocol):
    """Something that runs beside the API until it is stopped, e.g. the dispatch of payments."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Service:
    """What one service consists of.

    `upstreams`: services whose facts this one passes on; its watermark is never ahead of theirs. `listens_to`: the
    services whose topics it reads; `bulk_from`: whose bulk lanes too, by a consumer of their own.
    `workers` are built with the app's state; `larger_bodies` maps path prefixes to body limits in bytes.
    """

    name: str
    version: str
    routers: Sequence[APIRouter]
    subscriptions: Sequence[Subscription] = ()
    listens_to: tuple[str, ...] = ()
    bulk_from: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    daily_tasks: Sequence[DailyTask] = ()
    invariants: Sequence[Invariant] = ()
    workers: Sequence[Callable[[FastAPI], Worker]] = ()
    larger_bodies: dict[str, int] = field(default_factory=dict)
    on_start: Callable[[FastAPI], Awaitable[None]] | None = None
    on_set_aside: SetAside | None = None
    rebuildables: Sequence[Rebuildable] = ()
    title: str = ""


def create_app(service: Service, settings: Settings) -> FastAPI:
    """The service's ASGI app. Its lifespan starts relay, consumers and workers as `settings.roles` say."""
    database = Database(settings.database_url, service=service.name, pool_size=settings.database_pool_size)
    projection = Projection(database, service.name, service.subscriptions, service.on_set_aside)
    daily_tasks = with_upkeep(service.daily_tasks, service.invariants, settings)
    running = _Running(service, settings, database, projection, daily_tasks)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await running.start(app)
        try:
            yield
        finally:
            await running.stop()

    app = FastAPI(
        title=service.title or f"Liangbu {service.name}",
        version=service.version,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url="/docs",
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.verifier = TokenVerifier(settings)
    app.state.projection = projection
    app.state.running = running
    install_problem_handlers(app)
    for router in service.routers:
        app.include_router(router)
    app.include_router(operations_router(service.name, daily_tasks, service.invariants, service.rebuildables))
    app.add_middleware(BodyLimit, limit=settings.body_limit, larger=service.larger_bodies)
    app.add_middleware(RequestLog, service=service.name)
    return app


class _Running:
    """The tasks of a started service."""

    def __init__(
        self,
        service: Service,
        settings: Settings,
        database: Database,
        projection: Projection,
        daily_tasks: Sequence[DailyTask],
    ) -> None:
        self._service = service
        self._settings = settings
        self._database = database
        self._daily_tasks = daily_tasks
        self._workers: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._consumers: list[Consumer] = []
        self._relay: Relay | None = None
        if settings.has_role("relay"):
            self._relay = Relay(database, settings, upstreams=service.upstreams)
            self._workers.append(self._relay)
        if settings.has_role("consumer") and service.listens_to:
            topics = [topic_of(name) for name in service.listens_to]
            self._consumers.append(Consumer(projection, settings, topics))
            if service.bulk_from:
                bulk_topics = [bulk_topic_of(name) for name in service.bulk_from]
                self._consumers.append(Consumer(projection, settings, bulk_topics, lane=".bulk"))
            self._workers.extend(self._consumers)

    async def start(self, app: FastAPI) -> None:
        async with self._database.transaction() as tx:
            await ensure_month_partitions(tx, business_today())
        if self._service.on_start is not None:
            await self._service.on_start(app)
        if self._settings.has_role("worker"):
            self._workers.extend(build(app) for build in self._service.workers)
            if self._settings.daily_run_hour >= 0:
                hour = self._settings.daily_run_hour
                self._workers.append(Scheduler(self._database, self._daily_tasks, hour=hour))
        for worker in self._workers:
            task = asyncio.create_task(keep_running(worker), name=type(worker).__name__)
            task.add_done_callback(crash_loudly)
            self._tasks.append(task)

    async def stop(self) -> None:
        for worker in self._workers:
            worker.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=10)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._database.close()

    async def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        found = [f"{task.get_name()} has ended" for task in self._tasks if task.done()]
        found += ["consumer has no partitions yet" for consumer in self._consumers if not consumer.is_ready]
        try:
            async with asyncio.timeout(2), self._database.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except Exception as error:
            if not is_transient(error):
                raise
            found.append("the database does not answer")
        return found


async def keep_running(worker: Worker) -> None:
    """Until it ends by itself: a lost database is waited for, whatever the worker was at. What a library cancels within
    itself, as the Kafka client may when it loses its group, must not pass for the end of the worker either."""
    task = asyncio.current_task()
    while True:
        try:
            await worker.run()
            return
        except (Exception, asyncio.CancelledError) as error:
            is_stray = isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()
            if not is_stray and not is_transient(error):
                raise
            log.warning("worker_waits", worker=type(worker).__name__, error=type(error).__name__)
            await asyncio.sleep(1.0)


def crash_loudly(task: asyncio.Task[None]) -> None:
    """A worker that ends by an error takes its process down; whoever supervises it starts it anew."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("worker_crashed", worker=task.get_name(), error=repr(error)[:500], exc_info=error)
        with suppress(ValueError):
            signal.raise_signal(signal.SIGTERM)


def settle_memory() -> None:
    """Spares the garbage collector what was loaded at start: walking it over and over made reading events 8× slower."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def serve(name: str, build: Callable[[Settings], Any]) -> None:
    """Runs the app that `build` makes, on the service's port, until SIGINT or SIGTERM."""
    settings = settings_from_environment()
    configure_logging(name, settings.log_level)
    config = uvicorn.Config(
        build(settings),
        host=settings.host,
        port=settings.listen_port or settings.port + PORT_OFFSETS[name],
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
    )
    server = uvicorn.Server(config)
    settle_memory()
    server.run()
    sys.exit(0 if server.started else 1)

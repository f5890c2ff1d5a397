"""The one-card mock: the bank that tests and demonstrations pay through; real HTTP, real faults, its own memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import structlog
import uvicorn
from fastapi import FastAPI

from libs.common.clock import utc_now
from libs.common.database import asyncpg_dsn, is_transient
from libs.common.service import crash_loudly
from libs.common.settings import PORT_OFFSETS, Settings, settings_from_environment
from libs.common.telemetry import configure_logging
from services.onecard_mock.api import bank_side, test_side
from services.onecard_mock.books import Books
from services.onecard_mock.webhooks import Deliveries

log = structlog.get_logger(__name__)

_PAUSE_S = 0.1


def create_app(settings: Settings) -> FastAPI:
    """The bank as an application; it needs a database, client credentials and the webhook's address and secret."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(asyncpg_dsn(settings.database_url), min_size=1, max_size=6) as pool:
            books = Books(pool)
            deliveries = Deliveries(
                books, url=settings.onecard_webhook_url, secret=settings.onecard_webhook_secrets.split(",")[0]
            )
            app.state.books = books
            work = [
                asyncio.create_task(_settle(app, books), name="settling"),
                asyncio.create_task(_deliver(app, books, deliveries), name="delivering"),
            ]
            for task in work:
                task.add_done_callback(crash_loudly)
            yield
            app.state.stopping.set()
            app.state.wake.set()
            await asyncio.gather(*work)
            await deliveries.close()

    app = FastAPI(title="One-card mock 一卡通", version="1", lifespan=lifespan)
    app.state.client_id = settings.onecard_client_id
    app.state.client_secret = settings.onecard_client_secret
    app.state.wake = asyncio.Event()
    app.state.stopping = asyncio.Event()
    app.include_router(bank_side)
    app.include_router(test_side)

    @app.get("/healthz", include_in_schema=False)
    @app.get("/readyz", include_in_schema=False)
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    return app


async def _settle(app: FastAPI, books: Books) -> None:
    while not app.state.stopping.is_set():
        moved = await _patiently(lambda: _settle_due(books))
        if not moved:
            await _pause(app)


async def _deliver(app: FastAPI, books: Books, deliveries: Deliveries) -> None:
    while not app.state.stopping.is_set():
        tried = await _patiently(lambda: _deliver_due(books, deliveries))
        if not tried:
            await _pause(app)


async def _settle_due(books: Books) -> int:
    return await books.settle_due(utc_now(), await books.faults())


async def _deliver_due(books: Books, deliveries: Deliveries) -> int:
    return await deliveries.deliver_due(await books.faults())


async def _patiently(work: Callable[[], Awaitable[int]]) -> int:
    """A lost database is waited for: the books are in it."""
    try:
        return await work()
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("books_unreachable", error=type(error).__name__)
        await asyncio.sleep(1.0)
        return 0


async def _pause(app: FastAPI) -> None:
    """Until there is news, at most a moment: what is due by time has no other signal."""
    app.state.wake.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(_PAUSE_S):
            await app.state.wake.wait()


def main() -> None:
    settings = settings_from_environment()
    configure_logging("onecard_mock", settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.listen_port or settings.port + PORT_OFFSETS["onecard_mock"],
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main()

"""The outside world of tests and demonstrations: the bank they pay through (one-card), and the platform that sends the
office's SMS; real HTTP, real faults, memories of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import asyncpg
import structlog
import uvicorn
from fastapi import FastAPI

from libs.common.clock import utc_now
from libs.common.database import asyncpg_dsn, is_transient
from libs.common.operations import metrics
from libs.common.service import KEEP_ALIVE_S, crash_loudly
from libs.common.settings import PORT_OFFSETS, Settings, settings_from_environment
from libs.common.telemetry import configure_logging
from libs.common.web import install_problem_handlers
from services.onecard_mock.api import bank_side, test_side
from services.onecard_mock.books import Books
from services.onecard_mock.outcomes import Faults
from services.onecard_mock.texts import Texts
from services.onecard_mock.texts_api import platform_side, platform_test_side
from services.onecard_mock.webhooks import Deliveries

log = structlog.get_logger(__name__)

_PAUSE_S = 0.25


def create_app(settings: Settings) -> FastAPI:
    """Bank and platform as one app; they need a database, credentials, and each webhook's address and secret."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(asyncpg_dsn(settings.database_url), min_size=1, max_size=6) as pool:
            books, texts = app.state.books, app.state.texts = Books(pool), Texts(pool)
            tellers = [
                Deliveries(books, receiver, url=url, secret=secrets.split(",")[0])
                for receiver, url, secrets in (
                    ("onecard", settings.onecard_webhook_url, settings.onecard_webhook_secrets),
                    ("sms", settings.sms_webhook_url, settings.sms_webhook_secrets),
                )
                if secrets
            ]
            rounds = [partial(_settle_due, books), partial(_decide_due, texts)]
            rounds += [partial(_deliver_due, books, teller) for teller in tellers]
            work = [asyncio.create_task(_keep_doing(app, one_round)) for one_round in rounds]
            for task in work:
                task.add_done_callback(crash_loudly)
            yield
            app.state.stopping.set()
            app.state.wake.set()
            await asyncio.gather(*work)
            for teller in tellers:
                await teller.close()

    app = FastAPI(title="One-card mock 一卡通", version="1", lifespan=lifespan)
    install_problem_handlers(app)
    app.state.client_id = settings.onecard_client_id
    app.state.client_secret = settings.onecard_client_secret
    app.state.wake = asyncio.Event()
    app.state.stopping = asyncio.Event()
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.include_router(bank_side)
    app.include_router(test_side)
    app.state.sms_key = settings.sms_key
    app.include_router(platform_side)
    app.include_router(platform_test_side)

    @app.get("/healthz", include_in_schema=False)
    @app.get("/readyz", include_in_schema=False)
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    return app


async def _keep_doing(app: FastAPI, one_round: Callable[[], Awaitable[int]]) -> None:
    while not app.state.stopping.is_set():
        if await _patiently(one_round):
            app.state.wake.set()  # what was settled is to be told
        else:
            await _pause(app)


async def _settle_due(books: Books) -> int:
    return await books.settle_due(utc_now(), await books.faults())


async def _decide_due(texts: Texts) -> int:
    return await texts.decide_due(utc_now(), await texts.faults())


async def _deliver_due(books: Books, deliveries: Deliveries) -> int:
    """The bank's webhooks suffer its faults; the platform's were spoilt when they were made."""
    return await deliveries.deliver_due(await books.faults() if deliveries.receiver == "onecard" else Faults())


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
        timeout_keep_alive=KEEP_ALIVE_S,
    )


if __name__ == "__main__":
    main()

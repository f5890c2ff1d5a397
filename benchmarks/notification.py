"""Texts leave, beside their limit: `python -m benchmarks.notification [--messages N] [--rounds N]`.

* send: messages a second from the queue to the platform (claimed, phones unsealed, sent over HTTP, recorded), by one
  worker, beside a bare httpx loop that posts the same texts to the same platform with as many requests in flight.

The platform is a process of its own that accepts every text at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import uvloop
from fastapi import FastAPI, Request
from sqlalchemy import insert, text

from benchmarks.intake import serve_app, started
from benchmarks.platform import Comparison, report
from deploy.local.postgres import PostgresServer
from libs.common import migrations
from libs.common.database import Database
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from libs.common.telemetry import configure_logging
from services.notification.composing import Draft, compose
from services.notification.outcomes import deliver_texts
from services.notification.sending import Sending
from services.notification.sms import HttpSmsProvider
from services.notification.tables import contacts

AREA = "530102001"
IN_FLIGHT = 8
"""Requests at once, as `sending` has them."""

_TOGETHER = 500


def serve_platform(port: int, settings: Settings) -> None:
    app = FastAPI()

    @app.post("/messages", status_code=202)
    async def accept(request: Request) -> dict[str, str]:
        await request.json()
        return {"status": "accepted"}

    serve_app(port, app)


async def queue(database: Database, sealer: Sealer, count: int) -> None:
    """Withdrawals of so many persons, each with a phone of their own, to be told."""
    for start in range(0, count, _TOGETHER):
        persons = [f"p1-{uuid4().hex}" for _ in range(min(_TOGETHER, count - start))]
        reached = [
            {
                "person_id": person,
                "version": 1,
                "area": AREA,
                "phone": sealer.seal(f"138{number:08d}", "contacts", person, "phone"),
            }
            for number, person in enumerate(persons, start=start)
        ]
        values = {"subsidies": "重度残疾人护理补贴", "withdrawn_on": "2026年3月2日"}
        drafts = [Draft("application_withdrawn", f"sample:{person}", person, AREA, values) for person in persons]
        async with database.transaction() as tx:
            await tx.connection.execute(insert(contacts), reached)
            await compose(tx, drafts, sealer)


async def time_sending(sending: Sending, database: Database, count: int) -> float:
    """Messages a second, until every one of them was accepted; then their receipts come."""
    begun = time.perf_counter()
    while await sending.step():
        pass
    took_s = time.perf_counter() - begun
    async with database.transaction() as tx:
        sent = await tx.connection.execute(text("SELECT message_id FROM messages WHERE status = 'sent'"))
        assert await deliver_texts(tx, list(sent.scalars())) == count
    return count / took_s


async def time_bare(http: httpx.AsyncClient, url: str, texts: Sequence[str]) -> float:
    """Texts a second."""
    waiting = iter(texts)

    async def work() -> None:
        for said in waiting:
            identity = str(uuid4())
            body = {"message_id": identity, "phone": "13800001234", "text": said}
            answer = await http.post(f"{url}/messages", json=body, headers={"Idempotency-Key": identity})
            assert answer.status_code == 202

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return len(texts) / (time.perf_counter() - begun)


async def measure(messages: int, rounds: int) -> None:
    configure_logging("notification", "WARNING")
    sealer = Sealer.parse("k1:" + os.urandom(16).hex())
    with (
        tempfile.TemporaryDirectory(prefix="liangbu-bench-") as home,
        PostgresServer(Path(home) / "pg", databases=("notification",)) as server,
        started(serve_platform, Settings(roles="api")) as url,
    ):
        await asyncio.to_thread(migrations.upgrade, "notification", server.url("notification"))
        database = Database(server.url("notification"), service="notification")
        rates, limits = [], []
        async with httpx.AsyncClient(timeout=10) as http:
            sending = Sending(database, sealer, HttpSmsProvider(http, url, "key"), at_any_hour=True)
            for _ in range(rounds):
                await queue(database, sealer, messages)
                rates.append(await time_sending(sending, database, messages))
                limits.append(await time_bare(http, url, [_sample_text()] * messages))
        await database.close()
    report(
        "notification",
        [Comparison("sending against a bare httpx loop", "messages/s", 0.6, rates, limits)],
    )


def _sample_text() -> str:
    return "【两补】您的重度残疾人护理补贴申请已于2026年3月2日撤回。今后可随时重新申请。"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500, help="so few that no receipt is asked for")
    parser.add_argument("--rounds", type=int, default=5)
    given: Any = parser.parse_args()
    uvloop.run(measure(given.messages, given.rounds))


if __name__ == "__main__":
    main()

"""The door beside its limit: `python -m benchmarks.intake [--applications N] [--rounds N]`.

* submit: applications a second through one process of intake over HTTP (8 connections, an idempotency key each;
  identity checks, sealing, outbox, audit), beside a bare FastAPI that parses the same body and does one INSERT; p99
  too;
* known: the same for persons who have applied for the other subsidy before;
* bulk: lines a second through `POST /v1/applications/bulk`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.platform import Comparison, report
from deploy.local.postgres import PostgresServer
from libs.common import migrations
from libs.common.identity import check_character
from libs.common.issuer import issue_token, new_key_pair
from libs.common.service import settle_memory
from libs.common.settings import Settings
from libs.common.telemetry import configure_logging
from services.intake.declarations import Declaration
from services.intake.main import build

CONNECTIONS = 8
AREA = "530102"

_lot = random.Random(7)


def declarations(count: int) -> list[bytes]:
    """Bodies of so many different persons."""
    return [_body(_declaration()) for _ in range(count)]


def in_two(count: int) -> list[list[bytes]]:
    """Bodies of so many persons who apply for one subsidy first, and of the same for the other one then."""
    people = [_declaration() for _ in range(count)]
    return [[_body(one | {"subsidies": [subsidy]}) for one in people] for subsidy in ("living", "care")]


def _body(declaration: dict[str, Any]) -> bytes:
    return json.dumps(declaration, ensure_ascii=False).encode()


def _declaration() -> dict[str, Any]:
    born = date(1940, 1, 1) + timedelta(days=_lot.randrange(22_000))
    first_17 = f"{_lot.randrange(110101, 659004)}{born:%Y%m%d}{_lot.randrange(1000):03d}"
    number = first_17 + check_character(first_17)
    return {
        "applicant": {
            "name": "阿依古丽·买买提",
            "id_number": number,
            "certificate_number": f"{number}41",
            "phone": f"138{_lot.randrange(10**8):08d}",
            "hukou_area": f"{AREA}001",
        },
        "subsidies": ["living", "care"],
        "applied_on": "2026-03-02",
        "channel": "online",
        "account": {
            "holder": "own",
            "bank": "云南农信",
            "number": f"6217{_lot.randrange(10**15):015d}",
            "status": "active",
        },
        "commitment": {"signed_on": "2026-03-02", "version": "2026-01"},
        "facts": {"long_term_care": True, "low_income": {"category": "dibao", "from": "2024-01-01"}},
    }


def serve_intake(port: int, settings: Settings) -> None:
    configure_logging("intake", "WARNING")
    serve_app(port, build(settings))


def serve_bare(port: int, settings: Settings) -> None:
    """FastAPI, Pydantic, one INSERT through SQLAlchemy Core: the peer named by the goal."""
    engine = create_async_engine(settings.database_url, pool_size=settings.database_pool_size, max_overflow=0)
    insert = text("INSERT INTO bare (id, body) VALUES (:id, :body)")
    app = FastAPI()

    @app.post("/v1/applications", status_code=201)
    async def submit(declaration: Declaration) -> dict[str, str]:
        one = uuid4()
        async with engine.begin() as connection:
            await connection.execute(insert, {"id": one, "body": declaration.model_dump_json()})
        return {"application_id": str(one)}

    serve_app(port, app)


def serve_app(port: int, app: Any) -> None:
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, loop="uvloop", http="httptools")
    settle_memory()
    uvicorn.Server(config).run()


@contextmanager
def started(target: Any, settings: Settings) -> Iterator[str]:
    """The address of a process that serves `target`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=target, args=(port, settings))
    process.start()
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/openapi.json")
                break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.join(20)


@asynccontextmanager
async def _connection(url: str) -> Any:
    """A bare HTTP/1.1 client connection: httpx itself costs more than what is measured."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def _post(reader: Any, writer: Any, path: str, body: bytes, token: str) -> tuple[int, bytes]:
    writer.write(
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
        f"idempotency-key: {uuid4()}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    start = lowered.index(b"content-length:") + len(b"content-length:")
    length = int(lowered[start : lowered.index(b"\r\n", start)])
    return int(head[9:12]), await reader.readexactly(length)


async def time_submit(url: str, token: str, bodies: Sequence[bytes]) -> tuple[float, float]:
    """Applications a second, and the p99 of one, in ms."""
    waiting = iter(bodies)
    took_ms: list[float] = []

    async def work() -> None:
        async with _connection(url) as (reader, writer):
            for body in waiting:
                begun = time.perf_counter()
                status, answer = await _post(reader, writer, "/v1/applications", body, token)
                took_ms.append((time.perf_counter() - begun) * 1000)
                assert status == 201, answer

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    took_s = time.perf_counter() - begun
    return len(bodies) / took_s, statistics.quantiles(took_ms, n=100)[98]


async def time_bulk(url: str, token: str, bodies: Sequence[bytes]) -> float:
    """Lines a second."""
    begun = time.perf_counter()
    async with _connection(url) as (reader, writer):
        status, answer = await _post(reader, writer, "/v1/applications/bulk", b"\n".join(bodies), token)
    assert status == 200, answer
    assert json.loads(answer)["refused"] == 0
    return len(bodies) / (time.perf_counter() - begun)


async def measure(applications: int, rounds: int) -> None:
    private, public = new_key_pair()
    token = issue_token(private, role="partner", area=AREA, subject="bench")
    with (
        tempfile.TemporaryDirectory(prefix="liangbu-bench-") as home,
        PostgresServer(Path(home) / "pg", databases=("intake", "bare")) as server,
    ):
        await asyncio.to_thread(migrations.upgrade, "intake", server.url("intake"))
        server.execute("CREATE TABLE bare (id uuid PRIMARY KEY, body text NOT NULL)", database="bare")
        common: dict[str, Any] = {
            "roles": "api",
            "jwt_public_key": public,
            "person_keys": "1:" + os.urandom(32).hex(),
            "sealing_keys": "k1:" + os.urandom(16).hex(),
            "partner_requests_per_minute": 10_000_000,
            "data_dir": Path(home) / "data",
        }
        ours = Settings(database_url=server.url("intake"), **common)
        bare = Settings(database_url=server.url("bare"), **common)
        with started(serve_intake, ours) as intake_url, started(serve_bare, bare) as bare_url:
            await time_submit(intake_url, token, declarations(200))
            await time_submit(bare_url, token, declarations(200))
            rates, limits, p99s, limit_p99s, known_rates, bulk_rates = [], [], [], [], [], []
            for _ in range(rounds):
                rate, p99 = await time_submit(intake_url, token, declarations(applications))
                limit, limit_p99 = await time_submit(bare_url, token, declarations(applications))
                rates.append(rate)
                limits.append(limit)
                p99s.append(p99)
                limit_p99s.append(limit_p99)
                first, second = in_two(applications // 2)
                await time_submit(intake_url, token, first)
                known_rates.append((await time_submit(intake_url, token, second))[0] / limit)
                bulk_rates.append(await time_bulk(intake_url, token, declarations(applications)))
    report(
        "intake",
        [Comparison("submit against a bare FastAPI with one INSERT", "applications/s", 0.6, rates, limits)],
        p99_ms=f"{statistics.median(p99s):.1f} against {statistics.median(limit_p99s):.1f}; ratio (goal at most 3)"
        f" {statistics.median(ours / theirs for ours, theirs in zip(p99s, limit_p99s, strict=True)):.2f}",
        known_against_the_same=f"{statistics.median(known_rates):.2f}",
        bulk_lines_per_s=f"{statistics.median(bulk_rates):,.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    uvloop.run(measure(given.applications, given.rounds))


if __name__ == "__main__":
    main()

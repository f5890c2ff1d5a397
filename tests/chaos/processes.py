"""Disbursement and the bank as processes of their own, to be killed; what disbursement hears of runs in the test."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from deploy.local.broker import Broker
from deploy.local.processes import free_port
from libs.common.auth import Role
from libs.common.database import Database, new_id
from libs.common.events.intake import PayeeAccount, PayeeChanged
from libs.common.period import Period
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from tests.chaos.people import AMOUNT_FEN, Person, insert_people
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import WEBHOOK_SECRET, senior_services


@dataclass
class Processes:
    """The services by name, their environment, and clients that outlast them."""

    environment: dict[str, dict[str, str]]
    ports: dict[str, int]
    logs: Path
    issuer: Issuer
    sealer: Sealer
    database: Database
    seniors: dict[str, Database]
    http: httpx.AsyncClient
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}.main"],
                env={**os.environ, **self.environment[name]},
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """As a crash or the kernel would: nothing is finished, nothing is said."""
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    async def is_up(self, name: str) -> None:
        async def answers() -> bool:
            assert self.running[name].poll() is None, (self.logs / f"{name}.log").read_text()[-4000:]
            try:
                return (await self.http.get(self.url(name, "/healthz"))).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, within_s=300)

    def url(self, name: str, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    async def ask(self, method: str, path: str, role: Role = "auditor", /, **body: Any) -> Any:
        """Asks disbursement until it answers, a POST under one idempotency key: killed meanwhile, it does it once."""
        headers = self.issuer.bearer(role, "53") | {"Idempotency-Key": uuid4().hex}
        return await self._until_answered(
            lambda: self.http.request(
                method, self.url("disbursement", path), headers=headers, json=body if method == "POST" else None
            )
        )

    async def ask_bank(self, method: str, path: str, **how: Any) -> Any:
        return await self._until_answered(lambda: self.http.request(method, self.url("onecard_mock", path), **how))

    async def _until_answered(self, call: Callable[[], Any]) -> Any:
        async def answered() -> Any:
            try:
                answer = await call()
            except httpx.TransportError:
                return None
            if answer.status_code >= 500 or (answer.status_code == 409 and "Retry-After" in answer.headers):
                return None
            if answer.status_code == 409 and answer.json()["type"].endswith("/case-resolved"):
                return answer  # reconciliation itself was faster
            assert answer.is_success, answer.text
            return answer

        answer = await eventually(answered, within_s=300)
        return answer.json() if answer.content else None

    async def people(self, area: str, count: int) -> list[Person]:
        """Entitled people of a county that has money for them, twice."""
        people = await insert_people(self.database, self.sealer, area, count)
        await self.ask(
            "POST", "/v1/appropriations", "finance", area=area, subsidy="living", year=2026,
            amount_fen=AMOUNT_FEN * count * 2, document_no="财社〔2026〕1号",
        )  # fmt: skip
        return people

    async def moved_to(self, people: Sequence[Person], version: int = 2) -> list[Person]:
        """Each gets another account, by the event that says so."""
        moved = [Person(one.person_id, one.area, f"63{secrets.randbelow(10**14):014d}") for one in people]
        async with self.seniors["intake"].transaction() as tx:
            await tx.lock(*{person.person_id for person in moved})
            for person in moved:
                event_id = new_id()
                account = PayeeAccount(
                    holder="own", holder_name=self.sealer.seal("阿依·买买提", event_id, "account.holder_name"),
                    bank="农村信用社", number=self.sealer.seal(person.account, event_id, "account.number"),
                    number_last4=person.account[-4:], status="active", number_token=f"token-{person.account}",
                )  # fmt: skip
                told = PayeeChanged(
                    person_id=person.person_id, version=version, area=person.area,
                    person_name=self.sealer.seal("阿依·买买提", event_id, "person_name"), phone=None,
                    account=account, cannot_act=False, effective_on=Period(2026, 1).first_day,
                )  # fmt: skip
                tx.publish(told, event_id=event_id)
        return moved

    async def submitted(self, area: str) -> str:
        """A cycle of the county from its drawing up to the request to submit it."""
        cycle = await self.ask("POST", "/v1/cycles", "civil_affairs", area=area, period="2026-03")
        path = f"/v1/cycles/{cycle['cycle_id']}"
        await self.ask("POST", f"{path}/concurrence", "cdpf")
        await self.ask("POST", f"{path}/approval", "finance")
        await self.ask("POST", f"{path}/submission", "finance")
        cycle_id: str = cycle["cycle_id"]
        return cycle_id

    async def cycle_is(self, cycle_id: str, *statuses: str, within_s: float) -> dict[str, Any]:
        async def reached() -> Any:
            cycle = await self.ask("GET", f"/v1/cycles/{cycle_id}")
            return cycle if cycle["status"] in statuses else None

        found: dict[str, Any] = await eventually(reached, within_s=within_s)
        return found


@asynccontextmanager
async def processes(databases: Databases, issuer: Issuer, logs: Path, **settings: str) -> AsyncIterator[Processes]:
    """All started. Whatever was killed and not started again stays so."""
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Broker())
        keys = "k1:" + secrets.token_hex(16)
        ports = {"disbursement": free_port(), "onecard_mock": free_port()}
        urls = {name: await databases.fresh(name) for name in ports}
        common = {
            "LIANGBU_KAFKA_BOOTSTRAP": broker.bootstrap,
            "LIANGBU_KAFKA_PARTITIONS": "2",
            "LIANGBU_JWT_PUBLIC_KEY": issuer.public_key,
            "LIANGBU_SEALING_KEYS": keys,
            "LIANGBU_ONECARD_URL": f"http://127.0.0.1:{ports['onecard_mock']}",
            "LIANGBU_ONECARD_CLIENT_SECRET": "secret",
            "LIANGBU_ONECARD_WEBHOOK_URL": f"http://127.0.0.1:{ports['disbursement']}/webhooks/onecard",
            "LIANGBU_ONECARD_WEBHOOK_SECRETS": WEBHOOK_SECRET,
            **settings,
        }

        def settings_for(url: str) -> Settings:
            return Settings(
                database_url=url,
                kafka_bootstrap=broker.bootstrap,
                kafka_partitions=2,
                watermark_interval_s=0.1,
                outbox_poll_s=0.05,
            )

        seniors = await stack.enter_async_context(senior_services(databases, settings_for))
        database = Database(urls["disbursement"], service="disbursement", pool_size=2)
        stack.push_async_callback(database.close)
        made = Processes(
            environment={
                name: common | {"LIANGBU_DATABASE_URL": urls[name], "LIANGBU_LISTEN_PORT": str(ports[name])}
                for name in ports
            },
            ports=ports,
            logs=logs,
            issuer=issuer,
            sealer=Sealer.parse(keys),
            database=database,
            seniors=seniors,
            http=await stack.enter_async_context(httpx.AsyncClient(timeout=30)),
        )
        for name in ports:
            made.start(name)
        try:
            await asyncio.gather(*(made.is_up(name) for name in ports))
            yield made
        finally:
            for process in made.running.values():
                process.kill()
                process.wait()

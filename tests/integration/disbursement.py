"""A world around disbursement: the services that it hears of, a broker, and the one-card mock, all real, over HTTP."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from standardwebhooks import Webhook

from deploy.local.broker import Broker
from deploy.local.processes import free_port
from libs.common.auth import Role
from libs.common.clock import business_today, utc_now
from libs.common.database import Database, asyncpg_dsn, new_id, rows
from libs.common.events.eligibility import EntitledMonths, EntitlementChanged
from libs.common.events.envelope import EventData, bulk_topic_of, topic_of
from libs.common.events.intake import PayeeAccount, PayeeChanged
from libs.common.events.matching import FindingConfirmed, FindingDismissed, FindingOpened
from libs.common.outbox import Relay
from libs.common.period import Period
from libs.common.platform_schema import PLATFORM_V1, ensure_month_partitions
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from libs.common.vocabulary import Subsidy
from services.disbursement.main import build
from services.disbursement.workers import Sending
from services.onecard_mock import main as onecard_mock
from tests.conftest import Databases, Issuer, eventually

# Plain lines: a traceback with all its locals would drown the failure.
structlog.configure(
    processors=[
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
)

WEBHOOK_SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
_KEYS = "k1:" + secrets.token_hex(16)
_SENIOR = ("intake", "matching", "eligibility")
_HEARD_OF = (*map(topic_of, _SENIOR), bulk_topic_of("intake"), bulk_topic_of("eligibility"))
_PARTITIONS = 2


@asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[str]:
    """The app behind a real socket."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_config=None, access_log=False, ws="none", timeout_keep_alive=75)
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve(None))
    try:
        while not server.started:
            assert not task.done(), "the server did not start"
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


HEIR = {
    "relation": "子女",
    "name": "阿依夏木",
    "bank": "农业银行",
    "number": "6228480000000888",
    "document_no": "公证1号",
}


@dataclass
class Person:
    """Someone who is entitled, by the events that say so; their versions grow by themselves."""

    world: World
    person_id: str
    area: str
    account: str
    version: int = 0

    async def entitled(
        self,
        first: str,
        last: str | None = None,
        *,
        amount_fen: int = 10_000,
        subsidy: Subsidy = "living",
        cause: str = "application.approved",
        stopped_because: str | None = None,
        died_on: date | None = None,
        to_heir: bool = False,
    ) -> EntitlementChanged:
        """Entitled from one period to another, both included; nothing if `last` is before `first`."""
        span = EntitledMonths(
            from_=Period.parse(first),
            to=Period.parse(last) if last else None,
            amount_fen=amount_fen,
            area=self.area,
            level=1,
            policy_version="test",
            cause=cause,
        )
        empty = last is not None and last < first
        return await self.schedule(
            () if empty else (span,),
            subsidy=subsidy,
            cause=cause,
            stopped_because=stopped_because,
            died_on=died_on,
            to_heir=to_heir,
        )

    async def schedule(
        self,
        spans: tuple[EntitledMonths, ...],
        *,
        subsidy: Subsidy = "living",
        cause: str = "application.approved",
        stopped_because: str | None = None,
        died_on: date | None = None,
        to_heir: bool = False,
    ) -> EntitlementChanged:
        self.version += 1
        told = EntitlementChanged(
            person_id=self.person_id,
            version=self.version,
            subsidy=subsidy,
            schedule=spans,
            cause=cause,
            stopped_because=stopped_because,
            died_on=died_on,
            to_heir=to_heir,
            area=self.area,
        )
        await self.world.tell("eligibility", told)
        return told

    async def paid_to(
        self, account: str | None, *, holder: Any = "own", status: Any = "active", cannot_act: bool = False,
        org_code: str | None = None,
    ) -> None:  # fmt: skip
        event_id = new_id()
        payee = self.payee(
            account, lambda field: (event_id, field),
            holder=holder, status=status, cannot_act=cannot_act, org_code=org_code,
        )  # fmt: skip
        await self.world.tell("intake", payee, event_id=event_id)

    def payee(
        self,
        account: str | None,
        place: Callable[[str], tuple[object, ...]],
        *,
        holder: Any = "own",
        status: Any = "active",
        cannot_act: bool = False,
        org_code: str | None = None,
    ) -> PayeeChanged:
        """The next payee, its fields sealed for these places."""
        self.version += 1

        def sealed(text_: str, name: str) -> str:
            return self.world.sealer.seal(text_, *place(name))

        return PayeeChanged(
            person_id=self.person_id,
            version=self.version,
            area=self.area,
            person_name=sealed("阿依·买买提", "person_name"),
            certificate_number=sealed("53010219700501001844B1", "certificate_number"),
            phone=sealed("13800001234", "phone"),
            account=PayeeAccount(
                holder=holder,
                holder_name=sealed("阿依·买买提", "account.holder_name"),
                bank="农村信用社",
                number=sealed(account, "account.number"),
                number_last4=account[-4:],
                status=status,
                reason=None if holder == "own" else "无法办理社会保障卡",
                number_token=f"token-{account}",
                org_code=org_code,
            )
            if account
            else None,
            cannot_act=cannot_act,
            effective_on=date(2026, 1, 1),
        )

    async def suspected(
        self, status: str, *, finding_id: UUID, hold_from: str, kind: str = "person.died", version: int = 1
    ) -> None:
        event = {"open": FindingOpened, "confirmed": FindingConfirmed, "dismissed": FindingDismissed}[status]
        period = Period.parse(hold_from)
        told = event(
            person_id=self.person_id,
            version=version,
            finding_id=finding_id,
            kind=kind,
            area=self.area,
            status=status,  # type: ignore[arg-type]
            alleged_on=period.previous.last_day,
            hold_from=period,
            due_on=period.last_day,
            fact_id=uuid4() if status == "confirmed" else None,
        )
        await self.world.tell("matching", told)

    async def account_of(self, period: str, subsidy: Subsidy = "living") -> dict[str, Any]:
        answer = await self.world.get(f"/v1/persons/{self.person_id}/account?through={period}")
        return next(
            (item for item in answer["items"] if (item["period"], item["subsidy"]) == (period, subsidy)),
            {"entitled_fen": 0, "paid_fen": 0, "owed_fen": 0},
        )

    async def payments(self) -> list[dict[str, Any]]:
        """Oldest first."""
        answer = await self.world.get(f"/v1/persons/{self.person_id}/payments")
        return sorted(answer["items"], key=lambda item: (item["period"], item["subsidy"], item["attempt"]))


@dataclass
class World:
    """Disbursement and all that it talks to."""

    app: FastAPI
    settings: Settings
    issuer: Issuer
    http: httpx.AsyncClient
    bank: httpx.AsyncClient
    sealer: Sealer
    seniors: dict[str, Database]
    _counties: int = field(default=0)

    def county(self) -> str:
        """A county of its own for each test."""
        self._counties += 1
        return f"53{self._counties:02d}01"

    @property
    def database(self) -> Database:
        database: Database = self.app.state.database
        return database

    async def tell(self, service: str, data: EventData, *, event_id: UUID | None = None, bulk: bool = False) -> None:
        async with self.seniors[service].transaction() as tx:
            await tx.lock(data.key)
            tx.publish(data, event_id=event_id, bulk=bulk)

    async def person(self, area: str, *, account: str | None = None) -> Person:
        """Someone with a card of their own."""
        person_id = f"p1-{secrets.token_hex(8)}"
        person = Person(self, person_id, area, account or "62" + str(secrets.randbelow(10**14)).zfill(14))
        await person.paid_to(person.account)
        return person

    async def heir_approved(self, person: Person, heir: dict[str, str]) -> None:
        """Proposed by one, approved by another."""
        path = f"/v1/persons/{person.person_id}/heir"
        proposed = await self.post(path, "civil_affairs", sub="proposer", **heir)
        await self.post(f"/v1/heirs/{proposed['heir_id']}/approval", "civil_affairs", sub="approver")

    async def heard(self) -> None:
        """Everything told so far has arrived."""
        asked_at = utc_now()

        async def has_heard() -> bool:
            async with self.database.transaction() as tx:
                row = (
                    await tx.connection.execute(
                        text("SELECT count(*) AS told, min(until) AS until FROM watermarks WHERE until IS NOT NULL")
                    )
                ).one()
            return row.told == _PARTITIONS * len(_HEARD_OF) and row.until > asked_at

        await eventually(has_heard)

    async def call(
        self,
        method: str,
        path: str,
        role: Role = "auditor",
        /,
        *,
        scope: str = "53",
        sub: str | None = None,
        **body: Any,
    ) -> httpx.Response:
        return await self.http.request(
            method, path, headers=self.issuer.bearer(role, scope, sub), json=body if method == "POST" else None
        )

    async def get(self, path: str, role: Role = "auditor") -> Any:
        response = await self.call("GET", path, role)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, role: Role, /, *, sub: str | None = None, **body: Any) -> Any:
        response = await self.call("POST", path, role, sub=sub, **body)
        assert response.is_success, response.text
        return response.json()

    async def funded(self, area: str, amount_fen: int = 10**9, year: int = 2026) -> None:
        for subsidy in ("living", "care"):
            await self.post(
                "/v1/appropriations",
                "finance",
                area=area,
                subsidy=subsidy,
                year=year,
                amount_fen=amount_fen,
                document_no=f"财社〔{year}〕1号",
            )

    async def drawn_up(self, area: str, period: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.post("/v1/cycles", "civil_affairs", area=area, period=period, **more)
        return answer

    async def approved(self, area: str, period: str, **more: Any) -> dict[str, Any]:
        cycle = await self.drawn_up(area, period, **more)
        await self.post(f"/v1/cycles/{cycle['cycle_id']}/concurrence", "cdpf")
        await self.post(f"/v1/cycles/{cycle['cycle_id']}/approval", "finance")
        return cycle

    async def submitted(self, area: str, period: str, **more: Any) -> dict[str, Any]:
        cycle = await self.approved(area, period, **more)
        await self.post(f"/v1/cycles/{cycle['cycle_id']}/submission", "finance")
        return cycle

    async def paid(self, area: str, period: str, *, until: str = "closed") -> dict[str, Any]:
        """A cycle from its drawing up to its end."""
        cycle = await self.submitted(area, period)
        return await self.cycle_is(cycle["cycle_id"], until)

    async def cycle_is(self, cycle_id: str, *statuses: str, within_s: float = 120) -> dict[str, Any]:
        async def reached() -> Any:
            cycle = await self.get(f"/v1/cycles/{cycle_id}")
            return cycle if cycle["status"] in statuses else None

        try:
            found: dict[str, Any] = await eventually(reached, within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"not {statuses}: {await self.get(f'/v1/cycles/{cycle_id}')}") from error
        return found

    async def transfers_to(self, account: str) -> list[dict[str, Any]]:
        """What the bank did for an account, by its own books."""
        listed = (await self.bank.get("/v1/transfers")).json()["items"]
        return [item for item in listed if item["account"] == account]

    async def webhook(
        self,
        event_type: str,
        *,
        webhook_id: str | None = None,
        secret: str = WEBHOOK_SECRET,
        age_s: int = 0,
        **data: Any,
    ) -> httpx.Response:
        """A webhook as the bank, or a forger, would send it."""
        body = json.dumps({"type": event_type, "data": data}, ensure_ascii=False)
        webhook_id, at = webhook_id or f"msg_{uuid4().hex}", utc_now() - timedelta(seconds=age_s)
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
        }
        return await self.http.post("/webhooks/onecard", content=body.encode(), headers=headers)

    async def sql(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self.database.transaction() as tx:
            return list(rows(await tx.connection.execute(text(statement), parameters)))

    async def invariants_hold(self) -> None:
        answer = await self.get("/v1/invariants", "admin")
        assert answer["holds"], answer


async def handed_over(worker: Sending) -> None:
    """All that is to be handed over now, and what the bank answered to it is noted."""
    while await worker.hand_over():
        pass


@asynccontextmanager
async def world(databases: Databases, issuer: Issuer, *, roles: str, **changes: Any) -> AsyncIterator[World]:
    """A world of its own, with its own broker."""
    async with AsyncExitStack() as stack:
        stack.enter_context(_crashes_seen())
        broker = stack.enter_context(Broker())
        ports = {"disbursement": free_port(), "bank": free_port()}

        def settings_for(url: str, **more: Any) -> Settings:
            return Settings(
                database_url=url,
                kafka_bootstrap=broker.bootstrap,
                kafka_partitions=_PARTITIONS,
                jwt_public_key=issuer.public_key,
                sealing_keys=_KEYS,
                watermark_interval_s=0.1,
                outbox_poll_s=0.05,
                onecard_url=f"http://127.0.0.1:{ports['bank']}",
                onecard_client_secret="secret",
                onecard_webhook_url=f"http://127.0.0.1:{ports['disbursement']}/webhooks/onecard",
                onecard_webhook_secrets=WEBHOOK_SECRET,
                **{"bank_timeout_s": 10.0, **more},
            )

        bank_app = onecard_mock.create_app(settings_for(await databases.fresh("onecard_mock")))
        bank_url = await stack.enter_async_context(serving(bank_app, ports["bank"]))
        seniors = await stack.enter_async_context(senior_services(databases, settings_for))
        settings = settings_for(await databases.fresh("disbursement"), roles=roles, **changes)
        app = build(settings)
        url = await stack.enter_async_context(serving(app, ports["disbursement"]))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        bank = await stack.enter_async_context(httpx.AsyncClient(base_url=bank_url, timeout=20))
        yield World(app, settings, issuer, http, bank, Sealer.parse(_KEYS), seniors)


@asynccontextmanager
async def senior_services(
    databases: Databases, settings_for: Callable[[str], Settings]
) -> AsyncIterator[dict[str, Database]]:
    """The services that disbursement hears of: each a database whose outbox a relay publishes."""
    async with AsyncExitStack() as stack:
        seniors = {}
        for name in _SENIOR:
            url = await _bare_database(databases, name)
            seniors[name] = Database(url, service=name, pool_size=2)
            stack.push_async_callback(seniors[name].close)
            async with seniors[name].transaction() as tx:
                await ensure_month_partitions(tx, business_today())
            relay = Relay(seniors[name], settings_for(url))
            task = asyncio.create_task(relay.run())
            stack.push_async_callback(_ended, task)
            stack.callback(relay.stop)
        yield seniors


@contextmanager
def _crashes_seen() -> Iterator[None]:
    """A worker that crashes asks its process to end: here that is a failed test, not a dead test run."""
    loop = asyncio.get_running_loop()
    crashes: list[int] = []
    loop.add_signal_handler(signal.SIGTERM, crashes.append, signal.SIGTERM)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        assert not crashes, "a worker crashed; see the log"


async def _ended(task: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)


async def _bare_database(databases: Databases, service: str) -> str:
    """A database that has what every service has, for one that only publishes here."""
    name = f"senior_{service}_{secrets.token_hex(4)}"
    await asyncio.to_thread(databases.server.create_databases, name)
    raw = await asyncpg.connect(asyncpg_dsn(databases.server.url(name)))
    try:
        await raw.execute(PLATFORM_V1)
    finally:
        await raw.close()
    return databases.server.url(name)

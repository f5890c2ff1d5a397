"""Everything on one machine: database, broker, services, console and bank, as children of this process.

They are started in order, watched, started again when they die, and stopped in order. None of them outlives us.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from deploy.local import processes
from deploy.local.broker import Broker
from deploy.local.home import Home, RunningState
from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from libs.common import migrations
from libs.common.settings import PORT_OFFSETS

SERVICES = ("intake", "eligibility", "matching", "disbursement", "notification")
PROCESSES = (*SERVICES, "onecard_mock", "console")
_DATABASE = {**{name: name for name in SERVICES}, "onecard_mock": "onecard"}

READY_WITHIN_S = 60
BACK_OFF_S = (0.2, 0.5, 1, 2, 5, 10, 30)
"""How long a process that keeps dying is left alone; it starts over after a minute of life."""
_HEALTHY_AFTER_S = 60
_LOOK_EVERY_S = 0.1

Report = Callable[[str], None]


class PortTaken(RuntimeError):
    """A port that a service needs is in use."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"port {port} ({name}) is in use; set LIANGBU_PORT to another base")


@dataclass(slots=True)
class _Child:
    """One service process and its history."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)
    deaths: int = 0
    restarts: int = 0
    restart_at: float | None = None


class Launcher:
    """Starts, watches and stops the embedded run in `home`. Use it from the main thread's event loop."""

    def __init__(
        self,
        home: Home,
        base_port: int,
        report: Report = lambda line: None,
        names: Sequence[str] = PROCESSES,
        *,
        daily_runs: bool = True,
    ) -> None:
        self.home = home
        self.base_port = base_port
        self.report = report
        self.names = tuple(names)
        self._daily_runs = daily_runs
        self.keys = home.keys()
        self.postgres = PostgresServer(home.folder)
        self.broker: Broker = (
            KafkaBroker(home.folder / "kafka", log=home.log("broker"))
            if os.environ.get("LIANGBU_BROKER") == "kafka"
            else Broker(log=home.log("broker"))
        )
        self.children: dict[str, _Child] = {}
        self._is_ready = False

    def port(self, name: str) -> int:
        return self.base_port + PORT_OFFSETS[name]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port(name)}"

    async def start(self) -> None:
        """Start everything and return once all of it is ready. Raises `PortTaken`, `ProcessFailed`."""
        for name in self.names:
            if processes.accepts_connections(self.port(name)):
                raise PortTaken(name, self.port(name))
        self.home.rotate_logs()
        self.report("PostgreSQL")
        await self._start_postgres()
        self.report("broker")
        self.broker.start()
        # Each service starts while the database of the next is brought up to date.
        for name in sorted(self.names, key=lambda name: name in _DATABASE):
            if name in _DATABASE:
                await asyncio.to_thread(migrations.upgrade, name, self.postgres.url(_DATABASE[name]))
            self.children[name] = _Child(name, self.port(name), self._spawn(name))
        self._write_state()
        await self._wait_until_ready()
        self._is_ready = True
        self._write_state()

    async def _start_postgres(self) -> None:
        # The server of a run that was killed a moment ago may still be shutting down.
        for patience_s in (0.5, 1, 2, 4, 8, None):
            try:
                self.postgres.start()
            except processes.ProcessFailed:
                if patience_s is None or not self.postgres.is_held_by_another:
                    raise
                await asyncio.sleep(patience_s)
            else:
                return

    async def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        waiting = list(self.names)
        async with httpx.AsyncClient(timeout=2) as http:
            while waiting:
                for name in [name for name in waiting if await _is_ready(http, self.url(name))]:
                    waiting.remove(name)
                    self.report(name)
                for name in waiting:
                    child = self.children[name]
                    if child.process.poll() is not None:
                        problem = f"ended with status {child.process.returncode}"
                        raise processes.ProcessFailed(name, problem, self.home.log(name))
                if time.monotonic() > deadline:
                    name = waiting[0]
                    raise processes.ProcessFailed(name, f"was not ready in {READY_WITHIN_S} s", self.home.log(name))
                await asyncio.sleep(_LOOK_EVERY_S)

    async def watch(self) -> None:
        """Start again whatever dies, for as long as this runs."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self.postgres.process is None or self.postgres.process.poll() is not None:
                self.report("PostgreSQL died: starting it again")
                await self._start_postgres()
            if self.broker.process is None or self.broker.process.poll() is not None:
                self.report("the broker died: starting an empty one; services publish their latest states again")
                self.broker.start()
                self._write_state()
            for child in self.children.values():
                self._revive(child)

    def _revive(self, child: _Child) -> None:
        now = time.monotonic()
        if child.restart_at is None:
            if child.process.poll() is None:
                return
            if now - child.started_at > _HEALTHY_AFTER_S:
                child.deaths = 0
            pause_s = BACK_OFF_S[min(child.deaths, len(BACK_OFF_S) - 1)]
            child.deaths += 1
            child.restart_at = now + pause_s
            self.report(f"{child.name} died (status {child.process.returncode}): starting it again in {pause_s:g} s")
        elif now >= child.restart_at:
            child.process = self._spawn(child.name)
            child.started_at = now
            child.restart_at = None
            child.restarts += 1
            self._write_state()

    def stop(self) -> None:
        """Stop the services together, then the broker and the database; returns once all are gone."""
        running = [child.process for child in self.children.values() if child.process.poll() is None]
        processes.stop_all(running, patience_s=12)
        self.children.clear()
        self.broker.stop()
        self.postgres.stop()
        self.home.forget_state()

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"services.{name}.main"]
        return processes.spawn(command, log=self.home.log(name), env=self._environment(name))

    def _environment(self, name: str) -> dict[str, str]:
        """What a service is told; each gets only the keys it needs."""
        keys = self.keys
        env = {
            **os.environ,
            "LIANGBU_PORT": str(self.base_port),
            "LIANGBU_DATA_DIR": str(self.home.folder / "data"),
            "LIANGBU_KAFKA_BOOTSTRAP": self.broker.bootstrap,
            "LIANGBU_KAFKA_IDEMPOTENCE": str(self.broker.idempotence).lower(),
            "LIANGBU_ONECARD_URL": self.url("onecard_mock"),
            "LIANGBU_ONECARD_WEBHOOK_URL": f"{self.url('disbursement')}/webhooks/onecard",
            "LIANGBU_JWT_PUBLIC_KEY": keys.jwt_public_key,
            # Each service is one process: its own commits wake its relay, and looking only moves the watermark.
            "LIANGBU_OUTBOX_POLL_S": "0.25",
        }
        if not self._daily_runs:
            env["LIANGBU_DAILY_RUN_HOUR"] = "-1"
        if name in _DATABASE:
            env["LIANGBU_DATABASE_URL"] = self.postgres.url(_DATABASE[name])
        if name in SERVICES:
            env["LIANGBU_SEALING_KEYS"] = keys.sealing_keys
        if name in ("intake", "matching"):
            env["LIANGBU_PERSON_KEYS"] = keys.person_keys
        if name == "matching":
            env["LIANGBU_FACES_SIMULATED"] = "true"
        if name in ("disbursement", "onecard_mock"):
            env["LIANGBU_ONECARD_CLIENT_SECRET"] = keys.onecard_client_secret
            env["LIANGBU_ONECARD_WEBHOOK_SECRETS"] = keys.onecard_webhook_secrets
        if name in ("notification", "onecard_mock"):
            env["LIANGBU_SMS_URL"] = f"{self.url('onecard_mock')}/sms/v1"
            env["LIANGBU_SMS_WEBHOOK_URL"] = f"{self.url('notification')}/webhooks/sms"
            env["LIANGBU_SMS_KEY"] = keys.sms_key
            env["LIANGBU_SMS_WEBHOOK_SECRETS"] = keys.sms_webhook_secrets
            env["LIANGBU_SMS_AT_ANY_HOUR"] = "true"  # a demonstration is played at any hour
        if name == "console":
            env["LIANGBU_CONSOLE_SECRET"] = keys.console_secret
            env["LIANGBU_DEMO_SIGNING_KEY"] = keys.jwt_private_key  # one may sign in in any role by choosing it
        return env

    def _write_state(self) -> None:
        services = {
            child.name: {"pid": child.process.pid, "port": child.port, "restarts": child.restarts}
            for child in self.children.values()
        }
        self.home.write_state(
            RunningState(
                pid=os.getpid(),
                port=self.base_port,
                postgres_port=self.postgres.port,
                broker_port=self.broker.port,
                ready=self._is_ready,
                services=services,
            )
        )


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False

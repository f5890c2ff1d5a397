"""The embedded run as a whole process: what it starts, survives, and leaves behind. The bank stands for any service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local.home import Home, NotRunning
from deploy.local.processes import accepts_connections
from libs.common.settings import PORT_OFFSETS
from tests.ports import free_base_port

_UP = "from deploy.local.commands.serving import serve; raise SystemExit(serve(names=('onecard_mock',)))"
_ROOT = Path(__file__).parents[2]


def eventually(check: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


@dataclass
class Run:
    """A launcher in a process of its own, started as a shell starts a background job: with SIGINT ignored."""

    folder: Path
    base_port: int
    process: subprocess.Popen[str] | None = None

    @property
    def bank(self) -> str:
        return f"http://127.0.0.1:{self.base_port + PORT_OFFSETS['onecard_mock']}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LIANGBU_HOME": str(self.folder), "LIANGBU_PORT": str(self.base_port)}

    def start(self) -> Run:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _UP],
            env=self.environment,
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
        eventually(self.is_ready)
        return self

    def is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(self.process.communicate()[0])
        try:
            return Home(self.folder).state().ready
        except NotRunning:
            return False

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.bank}/v1/sms", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def named(self, name: str) -> list[psutil.Process]:
        """Those of the family by that name; what ended meanwhile has none."""
        found = []
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                if process.name() == name:
                    found.append(process)
        return found

    def pid_of_bank(self) -> int:
        pid: int = json.loads((self.folder / "running.json").read_text())["services"]["onecard_mock"]["pid"]
        return pid

    def command(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.local.cli", *arguments],
            env=self.environment,
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path / "home", free_base_port())
    try:
        yield started
    finally:
        if started.process is not None:
            if started.process.poll() is None:
                started.process.kill()
            started.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_leaves_nothing(run: Run, number: signal.Signals) -> None:
    run.start()
    family = run.family()
    assert run.named("postgres")
    assert run.named("tansu")
    assert run.process is not None
    run.process.send_signal(number)
    assert run.process.wait(30) == 0
    assert [process for process in family if not is_gone(process)] == []
    assert not (run.folder / "running.json").exists()


def test_a_killed_launcher_takes_its_children_with_it_and_the_data_survive(run: Run) -> None:
    run.start()
    httpx.post(f"{run.bank}/v1/faults", json={"latency_ms": 7}).raise_for_status()
    family = run.family()
    assert run.process is not None
    run.process.kill()
    run.process.wait()
    eventually(lambda: all(is_gone(process) for process in family))
    run.process.communicate()
    run.start()
    assert httpx.get(f"{run.bank}/v1/faults").json()["latency_ms"] == 7


def test_what_dies_is_started_again(run: Run) -> None:
    run.start()
    before = run.pid_of_bank()
    os.kill(before, signal.SIGKILL)
    eventually(lambda: run.pid_of_bank() != before and run.answers())
    for name in ("tansu", "postgres"):
        (old, *_) = run.named(name)
        old.kill()
        eventually(lambda name=name, old=old: any(process != old for process in run.named(name)))
    state = Home(run.folder).state()
    eventually(lambda: bool(accepts_connections(state.broker_port)) and bool(accepts_connections(state.postgres_port)))


def test_a_second_start_keeps_the_keys(run: Run) -> None:
    keys = Home(run.folder).keys()
    run.start()
    assert Home(run.folder).keys() == keys
    assert (run.folder / "keys.json").stat().st_mode & 0o777 == 0o600


def test_two_in_one_home_are_one_too_many(run: Run) -> None:
    run.start()
    second = run.command("up")
    assert second.returncode == 1
    assert "another liangbu runs" in second.stderr


def test_a_taken_port_is_named(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", run.base_port))
        taken.listen()
        refused = run.command("up")
    assert refused.returncode == 1
    assert str(run.base_port) in refused.stderr
    assert "LIANGBU_PORT" in refused.stderr


def test_a_token_is_printed_alone_and_only_while_it_runs(run: Run) -> None:
    stopped = run.command("token", "--role", "cdpf", "--area", "530102")
    assert (stopped.returncode, stopped.stdout) == (1, "")
    run.start()
    printed = run.command("token", "--role", "cdpf", "--area", "530102")
    assert printed.returncode == 0
    assert printed.stdout.strip().count(".") == 2
    assert len(printed.stdout.split()) == 1
    status = run.command("status")
    assert status.returncode == 0
    assert run.bank in status.stdout


def test_the_sample_county_is_played_to_its_end_and_the_next_run_goes_on(run: Run) -> None:
    for months in ("2026-01 2026-02 2026-03 2026-04", "2026-05"):
        number = str(len(months.split()))
        played = run.command("run", "--persons", "100", "--months", number, "--exit", timeout_s=400)
        assert played.returncode == 0, played.stdout[-4000:] + played.stderr[-4000:]
        assert "0 not; all invariants hold" in played.stdout
        assert all(f"│ {month} │" in played.stdout for month in months.split())
    assert not (run.folder / "running.json").exists()

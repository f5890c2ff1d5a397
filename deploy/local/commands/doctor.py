"""`doctor`: whether this machine can run everything embedded, tried rather than guessed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from deploy.local import processes
from deploy.local.broker import Broker
from deploy.local.home import Home, NotRunning
from deploy.local.launcher import PROCESSES
from deploy.local.postgres import PostgresServer
from libs.common.settings import PORT_OFFSETS, Settings

FREE_DISK_BYTES = 1 << 30

output = Console(soft_wrap=True)


class Unfit(Exception):
    """What this machine lacks."""


def examine() -> bool:
    """Print each check; whether all pass."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("data folder", _folder),
        ("ports", _ports),
        ("PostgreSQL", _postgres),
        ("broker", _broker),
    ]
    healthy = True
    for name, check in checks:
        try:
            output.print(f"[green]ok[/]  {name}: {check()}")
        except (Unfit, processes.ProcessFailed, OSError, ModuleNotFoundError) as problem:
            healthy = False
            output.print(f"[red]bad[/] {name}: {problem}")
    return healthy


def _folder() -> str:
    home = Home().folder
    home.mkdir(parents=True, exist_ok=True)
    if not os.access(home, os.W_OK):
        raise Unfit(f"{home} cannot be written to; set LIANGBU_HOME to another folder")
    free = shutil.disk_usage(home).free
    if free < FREE_DISK_BYTES:
        raise Unfit(f"{home} has {free >> 20} MB left; 1 GB is needed")
    return f"{home}, {free >> 30} GB free"


def _ports() -> str:
    try:
        Home().state()
    except NotRunning:
        base = Settings().port
        ports = [base + PORT_OFFSETS[name] for name in PROCESSES]
        if taken := [port for port in ports if processes.accepts_connections(port)]:
            raise Unfit(f"{taken} in use; set LIANGBU_PORT to another base") from None
        return f"{base} and following are free"
    return "in use by the liangbu that runs here"


def _postgres() -> str:
    with tempfile.TemporaryDirectory(prefix="liangbu-doctor-") as folder, PostgresServer(Path(folder)) as server:
        return server.execute("SHOW server_version")


def _broker() -> str:
    with Broker():
        return "starts"

"""`up` and `run`: start everything, play the sample if asked to, serve until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from deploy.local.home import AlreadyRunning, Home
from deploy.local.launcher import PROCESSES, Launcher, PortTaken
from deploy.local.processes import ProcessFailed
from libs.common.settings import Settings

_WIDTH = 180
"""Of the summary, where the output is no terminal."""

output = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH)

T = TypeVar("T")


class _Stopped(Exception):
    """SIGINT or SIGTERM arrived."""


@dataclass(frozen=True, slots=True)
class SamplePlay:
    """What `run` plays: how many persons, how many months, where, and which of all possible counties."""

    persons: int
    months: int
    area: str
    seed: int


def serve(play: SamplePlay | None = None, *, leave: bool = False, names: Sequence[str] = PROCESSES) -> int:
    """Run until SIGINT or SIGTERM (or, with `leave`, until the summary); the exit status."""
    home = Home()
    try:
        with home.locked():
            return asyncio.run(_serve(home, play, leave, names))
    except (AlreadyRunning, PortTaken, ProcessFailed) as problem:
        Console(stderr=True, soft_wrap=True).print(str(problem), style="red", markup=False)
        return 1


async def _serve(home: Home, play: SamplePlay | None, leave: bool, names: Sequence[str]) -> int:
    stop = asyncio.Event()
    # Our own handlers: a shell starts background jobs with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # A play has months of its own: what today's date makes due would come between.
    launcher = Launcher(home, Settings().port, _report, names, daily_runs=play is None)
    watching: asyncio.Task[None] | None = None
    try:
        began = time.monotonic()
        output.print(f"Starting in {home.folder}")
        await _unless_stopped(launcher.start(), stop)
        output.print(f"[green]Ready[/] after {time.monotonic() - began:.1f} s")
        watching = asyncio.create_task(launcher.watch())
        fine = True
        if play is not None:
            fine = await _unless_stopped(_play(launcher, play), stop, watching)
        if leave:
            return 0 if fine else 1
        _show_addresses(launcher)
        await _unless_stopped(asyncio.Event().wait(), stop, watching)
    except _Stopped:
        output.print("Stopping")
        return 130 if leave else 0
    finally:
        if watching is not None:
            watching.cancel()  # it would start again what is being stopped
            await asyncio.wait([watching])
        launcher.stop()
    return 0


def _report(line: str) -> None:
    output.print(f"  {line}", style="dim", markup=False)


async def _play(launcher: Launcher, play: SamplePlay) -> bool:
    from deploy.local.play import play_county

    return await play_county(launcher, play.area, play.persons, play.months, play.seed, output)


async def _unless_stopped(
    work: Coroutine[Any, Any, T], stop: asyncio.Event, watching: asyncio.Task[None] | None = None
) -> T:
    """The result of `work`. Raises `_Stopped` if a signal comes first, or what ended the watching."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    waited = {task, stopped} | ({watching} if watching else set())
    done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task in done:
        return task.result()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    if watching is not None and watching in done:
        watching.result()
    raise _Stopped


def _show_addresses(launcher: Launcher) -> None:
    table = Table("service", "address", show_edge=False)
    for name in sorted(launcher.names, key=launcher.port):
        table.add_row(name, launcher.url(name))
    output.print(table)
    output.print("A token: liangbu token --role civil_affairs --area 530102. Ctrl-C stops everything.", markup=False)

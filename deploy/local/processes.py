"""Child processes that never outlive this one, whatever ends it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_TRACE_LINES = 12


class ProcessFailed(Exception):
    """A child process ended, or was not ready in time; the message holds the end of its log."""

    def __init__(self, name: str, problem: str, log: Path) -> None:
        super().__init__(f"{name} {problem}; the end of {log}:\n{last_lines(log)}")


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    on_parent_death: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own (so that Ctrl-C reaches only us), its output appended to `log`.

    The kernel sends it `on_parent_death` when the thread that called this ends: call it from the main thread.
    """
    parent = os.getpid()
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - commands are our own
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent, on_parent_death),
        )


def _die_with(parent: int, on_death: signal.Signals) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(on_death), 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def stop(process: subprocess.Popen[bytes], *, ask: signal.Signals = signal.SIGTERM, patience_s: float = 10) -> None:
    """Ask the process to end, and after `patience_s` make it; returns once it is gone."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(ask)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop_all(running: Sequence[subprocess.Popen[bytes]], *, patience_s: float) -> None:
    """Ask all of them to end at once, and after `patience_s` make those that have not."""
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    for process in running:
        try:
            process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], *, name: str, log: Path, timeout_s: float
) -> None:
    """Return once `ready()`; raises `ProcessFailed` if the process ends first or `timeout_s` pass."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if process.poll() is not None:
            raise ProcessFailed(name, f"ended with status {process.returncode}", log)
        if time.monotonic() > deadline:
            stop(process, patience_s=1)
            raise ProcessFailed(name, f"was not ready within {timeout_s:g} s", log)
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on this TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log file, stack traces unfolded; empty if there is none."""
    if not log.exists():
        return ""
    return "\n".join(_unfolded(line) for line in log.read_text(errors="replace").splitlines()[-count:])


def _unfolded(line: str) -> str:
    """A line of a JSON log as a person reads it: the event, what it says, and the end of a stack trace."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict):
        return line
    trace = str(entry.pop("exception", "")).splitlines()[-_TRACE_LINES:]
    said = " ".join(f"{name}={value}" for name, value in entry.items() if name not in ("event", "service", "timestamp"))
    return "\n".join([f"{entry.get('event', '')} {said}".rstrip(), *(f"    {part}" for part in trace)])

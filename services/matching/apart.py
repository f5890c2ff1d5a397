"""Work that would hold up the service, done in a process of its own, whose memory goes when it ends.

`python -m services.matching.apart [MODULE]` imports the module, reads one pickled call from its standard input and
writes what came of it to its standard output. The input stays open as long as the caller lives: its end is the child's.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import threading
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


class DiedApart(RuntimeError):
    """The process ended without an answer: killed, or out of memory."""


async def apart(function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """The function's result, or what it raised. Cancelled, it ends the process."""
    result: Result = await _answer_of(await _start(), function, args, kwargs)
    return result


class Standby:
    """A process apart that is started, and has imported a module, before it is asked: nobody waits for that."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._child: Process | None = None

    async def start(self) -> None:
        """Sees to it that a process stands by."""
        if self._child is None or self._child.returncode is not None:
            self._child = await _start(self._module)

    async def apart(self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """As `apart` does, by the process that stands by, which ends with it; by a new one where there is none."""
        await self.start()
        child, self._child = self._child, None
        assert child is not None
        result: Result = await _answer_of(child, function, args, kwargs)
        return result

    async def end(self) -> None:
        if self._child is not None:
            await _end(self._child)


async def _start(*modules: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.matching.apart", *modules,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _answer_of(
    child: Process, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with suppress(ConnectionError):  # it died before it was asked
            child.stdin.write(pickle.dumps((function, args, kwargs)))
            await child.stdin.drain()
        answer = await child.stdout.read()
        child.stdin.close()
        await child.wait()
    finally:
        await _end(child)
    if not answer:
        raise DiedApart(f"exit code {child.returncode}")
    result, error = pickle.loads(answer)  # noqa: S301 - written by our own child
    if error is not None:
        raise error
    return result


async def _end(child: Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()


def _end_with_the_caller() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to all: it ends with its caller
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    for module in sys.argv[1:]:
        import_module(module)
    try:
        function, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    except EOFError:  # the caller ended, and had nothing to ask
        return
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    try:
        answer: tuple[object, Exception | None] = function(*args, **kwargs), None
    except Exception as error:  # whatever it is, the caller is told
        answer = None, error
    answers.write(pickle.dumps(answer))
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

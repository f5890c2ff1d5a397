"""Work that would hold up the service, done in a process of its own, whose memory goes when it ends.

`python -m services.matching.apart` reads one pickled call from its standard input and writes what came of it to its
standard output. The input stays open as long as the caller lives: its end is the child's.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


class DiedApart(RuntimeError):
    """The process ended without an answer: killed, or out of memory."""


async def apart(function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """The function's result, or what it raised. Cancelled, it ends the process."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.matching.apart", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(pickle.dumps((function, args, kwargs)))
        await child.stdin.drain()
        answer = await child.stdout.read()
        child.stdin.close()
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if not answer:
        raise DiedApart(f"exit code {child.returncode}")
    result: Result
    result, error = pickle.loads(answer)  # noqa: S301 - written by our own child
    if error is not None:
        raise error
    return result


def _end_with_the_caller() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    function, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
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

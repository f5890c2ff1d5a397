"""A bank for `disbursement.py` that accepts every batch after a while, in a process of its own over real HTTP.

    python -m benchmarks.stub_bank LATENCY_MS

It prints its address, and answers `GET /accepted` with how many different payments it has. It reads of a batch no more
than the ids: what it costs is taken from those that are measured, on the same cores.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_PAYMENT = re.compile(rb'"payment_id":"([^"]+)"')


@asynccontextmanager
async def stub_bank(latency_ms: int) -> AsyncIterator[str]:
    """Its address, while it runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.stub_bank", str(latency_ms), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def serve(latency_s: float) -> None:
    accepted: set[bytes] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if head.startswith(b"POST /v1/batches "):
                await asyncio.sleep(latency_s)
                accepted.update(_PAYMENT.findall(body))
                writer.write(_response(b"202 Accepted", b"{}"))
            elif head.startswith(b"GET /accepted "):
                writer.write(_response(b"200 OK", b"%d" % len(accepted)))
            else:
                writer.write(_response(b"200 OK", b'{"items": []}'))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**20)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Of the next request; nothing when there is none."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return b""


def _response(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) / 1000))

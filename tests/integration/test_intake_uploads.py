"""A real process of intake, killed in the middle of an upload: no half document, and the upload works afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from deploy.local.processes import free_port
from libs.common.database import Database, rows
from services.intake.stores import Store
from tests.conftest import Databases, Issuer
from tests.unit.intake.samples import declaration

MEGABYTE = 1 << 20
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(url: str, port: int, folder: Path, issuer: Issuer) -> AsyncIterator[asyncio.subprocess.Process]:
    """Intake as it runs in production, ready; killed at the end at the latest."""
    environment = {
        **os.environ,
        "LIANGBU_DATABASE_URL": url,
        "LIANGBU_LISTEN_PORT": str(port),
        "LIANGBU_ROLES": "api",
        "LIANGBU_JWT_PUBLIC_KEY": issuer.public_key,
        "LIANGBU_PERSON_KEYS": "1:" + "5a" * 32,
        "LIANGBU_SEALING_KEYS": "k1:" + "a5" * 16,
        "LIANGBU_DATA_DIR": str(folder),
        "LIANGBU_ARCHIVE_DOCUMENT_BYTES": str(256 * MEGABYTE),
        "LIANGBU_LOG_LEVEL": "ERROR",
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.intake.main", cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient() as http:
            for _ in range(600):
                with suppress(httpx.TransportError):
                    if (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
        yield started
    finally:
        with suppress(ProcessLookupError):
            started.kill()
        await started.wait()


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


@pytest.mark.parametrize("moment", ["as it comes in", "as it is stored"])
async def test_killed_over_200_mb_leaves_no_half_document(
    databases: Databases, issuer: Issuer, tmp_path: Path, moment: str
) -> None:
    url, port = await databases.fresh("intake"), free_port()
    at = f"http://127.0.0.1:{port}/v1/applications"
    token = issuer.bearer("partner", "530102")
    form = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    head = form % (b"kind", b"photo") + form % (b"source", b"scan")
    head += b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%PDF-'
    end = b"\r\n--x--\r\n"
    async with process(url, port, tmp_path, issuer) as intake, httpx.AsyncClient(headers=token, timeout=60) as http:
        application_id = (await http.post(at, json=declaration())).json()["application_id"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST /v1/applications/{application_id}/documents HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {token['Authorization']}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            f"Content-Length: {len(head) + 200 * MEGABYTE + len(end)}\r\n\r\n".encode()
            + head
        )
        for _ in range(60 if moment == "as it comes in" else 200):
            writer.write(bytes(MEGABYTE))
            await writer.drain()
        if moment == "as it is stored":
            writer.write(end)
            async with asyncio.timeout(120):
                while not parts(tmp_path):
                    await asyncio.sleep(0.01)
        intake.kill()
        await intake.wait()
        with suppress(ConnectionError):
            assert await reader.read() == b"", "nothing was promised"
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    database = Database(url, service="intake")
    async with database.transaction() as tx:
        found = rows(await tx.connection.execute(text("SELECT 1 FROM documents UNION ALL SELECT 1 FROM contents")))
    await database.close()
    assert not found
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == parts(tmp_path), "no document; what was being written is removed by the daily run, as a stray"
    assert len(left) == (moment == "as it is stored")

    content = b"%PDF-" + os.urandom(12 * MEGABYTE)
    async with process(url, port, tmp_path, issuer), httpx.AsyncClient(headers=token, timeout=60) as http:
        added = await http.post(
            f"{at}/{application_id}/documents", data={"kind": "photo", "source": "scan"}, files={"file": content}
        )
        assert added.status_code == 201, added.text
        read = await http.get(f"{at}/{application_id}/documents/{added.json()['document_id']}")
        assert read.content == content
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and path not in left]
    assert len(stored) == 2, "one in each store, and no part of one"


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put("ab/one", lambda: [b"first"])

    def broken() -> list[bytes]:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        store.put("ab/one", broken)
    with pytest.raises(OSError, match="no space"):
        store.put("ab/two", lambda: (part for part in (b"x", *broken())))
    assert b"".join(store.read("ab/one", 3)) == b"first"
    assert [path.name for path in (tmp_path / "ab").iterdir()] == ["one"]


def test_a_store_may_be_any_that_fsspec_opens() -> None:
    store = Store("memory://archives/a")
    store.put("ab/one", lambda: [b"fir", b"st"])
    assert list(store.read("ab/one", 3)) == [b"fir", b"st"]
    store.remove("ab/one")
    with pytest.raises(FileNotFoundError):
        list(store.read("ab/one", 3))

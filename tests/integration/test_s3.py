"""Feeds and archives in buckets, by HTTP from a server that speaks S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from libs.common.clock import utc_now
from libs.common.database import is_transient
from libs.common.settings import Settings
from services.intake.stores import Store
from services.matching.feeds import FeedFolder
from services.matching.main import build
from tests.conftest import Databases, Issuer, running
from tests.integration.matching import Matching, deaths_csv

PART_BYTES = 6 << 20
"""More than goes to a bucket at once."""


@pytest.fixture(scope="module")
def buckets() -> Iterator[Any]:
    """Two buckets, and whoever else uses them."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    given = {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1", "MAX_ATTEMPTS": "1"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**given, "ENDPOINT_URL": f"http://{host}:{port}"}.items():
            environment.setenv(f"AWS_{name}", value)
        client = boto3.client("s3")
        for bucket in ("feeds", "archives"):
            client.create_bucket(Bucket=bucket)
        yield client
    server.stop()


def test_a_document_lies_in_a_bucket_whole_or_not_at_all(buckets: Any) -> None:
    store = Store("s3://archives/first")
    store.put("ab/one", lambda: [b"first", b"x" * PART_BYTES])
    assert b"".join(store.read("ab/one", 1 << 20)) == b"first" + b"x" * PART_BYTES

    def broken() -> Iterator[bytes]:
        yield b"y" * PART_BYTES
        raise ValueError("the caller went away")

    for name in ("ab/one", "ab/two"):
        with pytest.raises(ValueError, match="went away"):
            store.put(name, broken)
    assert b"".join(store.read("ab/one", 1 << 20)).startswith(b"first")
    with pytest.raises(FileNotFoundError):
        list(store.read("ab/two", 3))
    assert "Uploads" not in buckets.list_multipart_uploads(Bucket="archives"), "no parts are left to be paid for"
    store.remove("ab/one")
    with pytest.raises(FileNotFoundError):
        list(store.read("ab/one", 3))


def test_what_another_process_stored_or_replaced_is_seen_at_once(buckets: Any) -> None:
    store, later = Store("s3://archives/second"), utc_now() + timedelta(hours=1)
    store.put("ab/one", lambda: [b"1"])
    assert store.names_before("ab", later) == ["ab/one"]
    with pytest.raises(FileNotFoundError):
        list(store.read("ab/two", 3))
    buckets.put_object(Bucket="archives", Key="second/ab/two", Body=b"22")
    assert list(store.read("ab/two", 3)) == [b"22"]
    assert store.names_before("ab", later) == ["ab/one", "ab/two"]


async def test_feeds_kept_in_a_bucket_survive_the_loss_of_the_folder(
    buckets: Any, databases: Databases, issuer: Issuer, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(await databases.fresh("matching"), data_dir=tmp_path, feed_store="s3://feeds/county")
    async with running(build(settings), settings) as started:
        matching = Matching(started, issuer)
        person = await matching.recipient()
        await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
        comparison = await matching.compare()
        for path in tmp_path.rglob("*"):
            if path.is_file():
                path.unlink()
        again = await matching.call("POST", f"/v1/comparisons/{comparison['comparison_id']}/reruns")
        assert again.json()["same"] is True


def test_a_bucket_that_cannot_be_reached_is_a_store_that_fails(
    buckets: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = Store("s3://archives/nowhere")
    with pytest.raises(OSError, match="Could not connect"):
        store.put("ab/one", lambda: [b"1"])
    with pytest.raises(OSError, match="Could not connect"):
        list(store.read("ab/one", 3))
    feeds = FeedFolder(tmp_path, "s3://feeds/nowhere")
    (path := tmp_path / "one").write_bytes(b"1")
    with pytest.raises(ConnectionError) as failed:
        feeds.keep(path)
    assert is_transient(failed.value), "a comparison waits for it, and does not fail"

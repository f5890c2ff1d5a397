"""Where archives lie: two stores, each a folder or a bucket, holding the same objects (notice 5.2).

An object is written once, under a name of its own, and is whole or not there at all. What is stored is encrypted
before it comes here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from libs.common.buckets import open_store, reaching_it
from libs.common.settings import Settings

Content = Callable[[], Iterable[bytes]]
"""Tells the content from its beginning, each time it is called."""


class Store:
    """A folder, or whatever else `fsspec` opens by its address (`s3://bucket/prefix`)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._system, self._root = open_store(address)

    def put(self, name: str, content: Content) -> None:
        """Stores the object, in the place of one of the same name. OSError when it cannot: nothing is there then."""
        path = f"{self._root}/{name}"
        if isinstance(self._system, LocalFileSystem):
            _write_durably(Path(path), content())
            return
        with reaching_it():
            file: Any = self._system.open(path, "wb", autocommit=False)
            try:
                for part in content():
                    file.write(part)
                file.close()
            except BaseException:
                with suppress(ConnectionError), reaching_it():  # what came there is no object yet
                    file.discard()
                raise
            file.commit()

    def read(self, name: str, part_bytes: int) -> Iterator[bytes]:
        """The object in parts of this size. FileNotFoundError when it is not there, OSError when it cannot be read."""
        with reaching_it(), self._system.open(f"{self._root}/{name}", "rb") as file:
            while part := file.read(part_bytes):
                yield part

    def names_before(self, folder: str, moment: datetime) -> list[str]:
        """What lies in this folder since before that moment: objects, and parts of what was never finished."""
        with reaching_it():
            try:
                paths = self._system.ls(f"{self._root}/{folder}", detail=False)
            except FileNotFoundError:
                return []
            return [f"{folder}/{Path(path).name}" for path in paths if self._system.modified(path) < moment]

    def remove(self, name: str) -> None:
        with reaching_it():
            self._system.rm_file(f"{self._root}/{name}")


class TwoStores:
    """The first store, and the one that backs it up."""

    def __init__(self, first: Store, second: Store) -> None:
        self.both = (first, second)

    @classmethod
    def of(cls, settings: Settings) -> TwoStores:
        addresses = [address.strip() for address in settings.archive_stores.split(",") if address.strip()]
        if not addresses:
            addresses = [str(settings.data_dir.absolute() / name) for name in ("archive-a", "archive-b")]
        if len(set(addresses)) != 2:
            raise ValueError("LIANGBU_ARCHIVE_STORES: two different addresses")
        return cls(Store(addresses[0]), Store(addresses[1]))

    async def put(self, name: str, content: Content) -> None:
        """Stores the object in both. OSError when one of them cannot; it is then in neither, or a stray."""
        for store in self.both:
            await asyncio.to_thread(store.put, name, content)

    async def remove(self, name: str) -> None:
        for store in self.both:
            await asyncio.to_thread(store.remove, name)


def _write_durably(path: Path, content: Iterable[bytes]) -> None:
    """Whole and on the disk, or not there: a process that is killed leaves a `.part` at most, a stray."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

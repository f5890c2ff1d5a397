"""Where feeds are kept for good, when not in the data folder alone: a store that fsspec speaks to, such as S3.

The data folder then holds copies only: what is not there is fetched, since a feed and a roster never change once they
are written.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from libs.common.buckets import open_store, reaching_it


@cache
def store_at(address: str) -> Store:
    """The store at an address, opened once."""
    return Store(address)


class Store:
    """`address` as fsspec reads it: `s3://bucket/folder`, `file:///srv/feeds`, `memory://feeds`. ConnectionError while
    it cannot be reached."""

    def __init__(self, address: str) -> None:
        self._files, self._root = open_store(address)

    def keep(self, path: Path, name: str) -> None:
        """Copies a finished file there. Done again, it copies the same."""
        whole = f"{self._root}/{name}"
        with reaching_it():
            self._files.makedirs(whole.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), whole)

    def fetch(self, path: Path, name: str) -> None:
        """Brings a file here, whole or not at all. FileNotFoundError if it was never kept."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with reaching_it():
                self._files.get_file(f"{self._root}/{name}", str(part))
            part.chmod(0o440)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

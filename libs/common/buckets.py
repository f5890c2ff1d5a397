"""Stores that `fsspec` opens by their address: a folder, `s3://bucket/folder`. Who keeps files imports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
from botocore.exceptions import BotoCoreError


def open_store(address: str) -> tuple[Any, str]:
    """The file system at an address, and the path in it. A listing that it kept would hide what others stored since."""
    system, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    return system, root


@contextmanager
def reaching_it() -> Iterator[None]:
    """ConnectionError where a bucket cannot be reached, which S3's library tells in a way of its own."""
    try:
        yield
    except BotoCoreError as error:
        raise ConnectionError(str(error)) from error

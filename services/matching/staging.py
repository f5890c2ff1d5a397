"""A file half taken in: what each batch of its rows came to lies on disk, whole or not at all.

Whoever takes the file up again after a crash, a kill or a restart goes on with the first batch that is not there. The
batches are Arrow files, written as they are; once all are there they become the feed's Parquet.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from services.matching.rejects import Reject


@dataclass(frozen=True, slots=True)
class StagedBatch:
    """The rows accepted, those rejected, and whether its last row was a whole one."""

    rows: pa.Table
    rejects: Sequence[Reject]
    last_is_whole: bool


class Staging:
    """The batches of one file, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def rows_read(self) -> int | None:
        """So far; None before the first batch is read."""
        try:
            return int((self._folder / "rows").read_text())
        except FileNotFoundError:
            return None

    def keep(self, number: int, batch: StagedBatch, *, rows_read: int) -> None:
        """The batch is there from now on, whatever happens to its process."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = {
            "rejects": json.dumps([asdict(reject) for reject in batch.rejects], ensure_ascii=False),
            "last_is_whole": json.dumps(batch.last_is_whole),
        }
        table = batch.rows.replace_schema_metadata(beside)
        part = self._folder / "part"
        with pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        os.replace(part, self._path(number))
        (self._folder / "rows").write_text(str(rows_read))

    def batches(self) -> Iterator[StagedBatch]:
        """Those that are there, from the first on; one that a power cut damaged is not, nor what follows it."""
        number = 0
        while self._path(number).exists():
            try:
                with pa.memory_map(str(self._path(number))) as file:
                    table = pa.ipc.open_file(file).read_all()
            except (OSError, pa.ArrowInvalid):
                return
            beside = table.schema.metadata
            rejects = [Reject(**reject) for reject in json.loads(beside[b"rejects"])]
            yield StagedBatch(table.replace_schema_metadata(None), rejects, json.loads(beside[b"last_is_whole"]))
            number += 1

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.arrow"

"""A department's file becomes a feed: immutable Parquet keyed by person_id, and a list of the rows not taken."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, Literal
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives import hashes

from libs.common.period import Period
from libs.common.privacy import PersonKeys, Sealer
from services.matching.columns import ColumnReader, Taken
from services.matching.formats import BATCH_ROWS, UnreadableFeed, read_batches
from services.matching.names import seal_names
from services.matching.pseudonyms import Pseudonyms
from services.matching.rejects import line_of
from services.matching.sources import Source
from services.matching.staging import StagedBatch, Staging
from services.matching.stored import schema_of


@dataclass(frozen=True, slots=True)
class Keys:
    """What turns identities into what may be stored."""

    person: PersonKeys
    sealer: Sealer


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a file's rows, and the digest (SM3) of the Parquet that holds those accepted. `cut_off`: the file
    ends in the middle of a row."""

    accepted: int
    rejected: int
    digest: str
    cut_off: bool


class FeedFolder:
    """Where feeds lie: the files as they arrive, until they are taken in, and Parquet by source and period for good.

    With a `store`, what is finished is also kept there, and fetched from there when it is not here.
    """

    def __init__(self, root: Path, store: str = "") -> None:
        self._root = root
        self._store = store

    def arriving(self, name: UUID) -> Path:
        """A file as a department sent it, in plain; deleted once it is taken in."""
        folder = self._root / "arriving"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / str(name)

    def staging(self, name: UUID) -> Staging:
        """What is read of an arriving file so far. A build that cuts batches otherwise starts over."""
        return Staging(self.arriving(name).with_suffix(f".by{BATCH_ROWS}"))

    def forget_strays(self, waited_for: Collection[UUID], older_than_s: float) -> None:
        """Deletes what arrived so long ago that no upload can still be writing it, and no feed waits for it."""
        kept, before = {str(feed_id) for feed_id in waited_for}, time.time() - older_than_s
        for path in (self._root / "arriving").glob("*"):
            if path.name.partition(".")[0] not in kept and path.stat().st_mtime < before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def rows(self, source: str, as_of: date, feed_id: UUID) -> Path:
        return self._period(source, as_of) / f"{feed_id}.parquet"

    def rejects(self, source: str, as_of: date, feed_id: UUID) -> Path:
        return self._period(source, as_of) / f"{feed_id}.rejects.ndjson"

    def comparison(self, comparison_id: UUID, part: Literal["roster", "leads", "discrepancies"]) -> Path:
        """What a comparison read of the roster, and what it found."""
        folder = self._root / "comparisons" / str(comparison_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{part}.parquet"

    @property
    def spill(self) -> Path:
        """Where an engine puts what its memory does not hold; nothing in it outlives a run."""
        return self._root / "spill"

    def keep(self, *paths: Path) -> None:
        """Puts finished files into the store, if there is one. Blocks."""
        if self._store:
            from services.matching.store import store_at  # fsspec is slow to import, and mostly not needed

            for path in paths:
                store_at(self._store).keep(path, self._name(path))

    def can_read(self, path: Path) -> bool:
        """Whether the file is here or in the store."""
        return bool(self._store) or path.exists()

    def fetch(self, path: Path) -> Path:
        """The file, brought here if it is only in the store. Blocks."""
        if self._store and not path.exists():
            from services.matching.store import store_at

            store_at(self._store).fetch(path, self._name(path))
        return path

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _period(self, source: str, as_of: date) -> Path:
        folder = self._root / "feeds" / source / str(Period.of(as_of))
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def take_in(
    arrived: Path,
    source: Source,
    feed_id: UUID,
    as_of: date,
    keys: Keys,
    rows_path: Path,
    rejects_path: Path,
    staging: Staging,
) -> Stored:
    """Reads the file into Parquet. UnreadableFeed if it is none of that source; nothing is then left behind.

    Killed at any point and called again, it goes on with the first batch of rows that is not in `staging`. Both files
    appear whole or not at all, and once there never change. Memory is bounded by a batch, whatever the file's size.
    """
    try:
        _stage(arrived, ColumnReader(source, Pseudonyms(keys.person), as_of=as_of), feed_id, keys.sealer, staging)
    except UnreadableFeed:
        staging.clear()
        raise
    accepted = rejected = 0
    last_is_whole = True
    rows_part, rejects_part = (path.with_name(path.name + ".part") for path in (rows_path, rejects_path))
    with (
        pq.ParquetWriter(rows_part, schema_of(source), compression="zstd") as writer,
        rejects_part.open("w", encoding="utf-8") as rejects,
    ):
        for batch in staging.batches():
            rejects.writelines(map(line_of, batch.rejects))
            if len(batch.rows):
                writer.write_table(batch.rows, row_group_size=len(batch.rows))
            accepted += len(batch.rows)
            rejected += len(batch.rejects)
            last_is_whole = batch.last_is_whole
    for part, path in ((rows_part, rows_path), (rejects_part, rejects_path)):
        part.chmod(0o440)
        os.replace(part, path)
    staging.clear()
    return Stored(accepted, rejected, digest_of(rows_path), cut_off=not last_is_whole and not _ends_a_line(arrived))


def _stage(arrived: Path, reader: ColumnReader, feed_id: UUID, sealer: Sealer, staging: Staging) -> None:
    """Reads every batch that is not staged yet. Batches are cut alike each time, so that those done are passed over."""
    done = [(len(batch.rows), len(batch.rejects)) for batch in staging.batches()]
    accepted, rejected = sum(rows for rows, _ in done), sum(rejects for _, rejects in done)
    for number, batch in enumerate(read_batches(arrived, reader.source)):
        if number < len(done):
            continue
        taken = reader.read(batch)
        table = _table(taken, schema_of(reader.source), sealer, feed_id, reader.as_of, accepted)
        last_is_whole = _last_row(batch.numbers) >= _last_row(reject.row for reject in batch.rejects)
        accepted += taken.count
        rejected += len(taken.rejects)
        staging.keep(number, StagedBatch(table, taken.rejects, last_is_whole), rows_read=accepted + rejected)


def _table(taken: Taken, schema: pa.Schema, sealer: Sealer, feed_id: UUID, as_of: date, before: int) -> pa.Table:
    columns = dict(taken.columns)
    for stored, names in taken.names.items():
        columns[f"{stored}_sealed"] = seal_names(names, sealer, feed_id, stored, before)
    columns["feed_row"] = pa.array(range(before, before + taken.count), pa.int64())
    columns["feed_id"] = pa.repeat(str(feed_id), taken.count)
    columns["as_of"] = pa.repeat(pa.scalar(as_of, pa.date32()), taken.count)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _last_row(numbers: Iterable[int]) -> int:
    return max(numbers, default=0)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() in (b"\n", b"\r")


def digest_of(path: Path) -> str:
    """SM3 of a file, in hex."""
    digest = hashes.Hash(hashes.SM3())
    with path.open("rb") as file:
        for chunk in _chunks(file):
            digest.update(chunk)
    return digest.finalize().hex()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(1 << 20):
        yield chunk

"""A department's file becomes a feed: immutable Parquet keyed by person_id, and a list of the rows not taken."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives import hashes

from libs.common.period import Period
from libs.common.privacy import PersonKeys, Sealer
from services.matching.formats import read_rows
from services.matching.rows import Reject, RowReader
from services.matching.sources import Source

_BATCH_ROWS = 20_000

_TYPES: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "month_end": pa.date32(),
    "whole_number": pa.int64(),
    "level": pa.int32(),
    "certificate_number": pa.int32(),
    "yes_no": pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What turns identities into what may be stored."""

    person: PersonKeys
    sealer: Sealer


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file's rows, and the digest (SM3) of the Parquet that holds those accepted."""

    accepted: int
    rejected: int
    digest: str


class FeedFolder:
    """Where feeds lie: the files as they arrive, until they are taken in, and Parquet by source and period for good."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def arriving(self, name: UUID) -> Path:
        """A file as a department sent it, in plain; deleted once it is taken in."""
        folder = self._root / "arriving"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / str(name)

    def rows(self, source: str, as_of: date, feed_id: UUID) -> Path:
        return self._period(source, as_of) / f"{feed_id}.parquet"

    def rejects(self, source: str, as_of: date, feed_id: UUID) -> Path:
        return self._period(source, as_of) / f"{feed_id}.rejects.ndjson"

    def comparison(self, comparison_id: UUID) -> Path:
        """The roster that a comparison read."""
        folder = self._root / "comparisons"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{comparison_id}.parquet"

    def _period(self, source: str, as_of: date) -> Path:
        folder = self._root / "feeds" / source / str(Period.of(as_of))
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def schema_of(source: Source) -> pa.Schema:
    """The columns of a source as stored, and of which feed and day each row is."""
    fields = []
    for column in source.columns:
        if column.form == "name":
            fields += [(f"{column.stored}_sealed", pa.string()), (f"{column.stored}_token", pa.string())]
        elif column.form == "secret":
            fields.append((f"{column.stored}_token", pa.string()))
        else:
            fields.append((column.stored, _TYPES.get(column.form, pa.string())))
    return pa.schema([*fields, ("feed_id", pa.string()), ("as_of", pa.date32())])


def take_in(
    arrived: Path, source: Source, feed_id: UUID, as_of: date, keys: Keys, rows_path: Path, rejects_path: Path
) -> Taken:
    """Reads the file into Parquet. UnreadableFeed if it is none of that source; nothing is then left behind.

    Both files appear whole or not at all, and once there never change: a file taken in again gives them anew.
    """
    reader = RowReader(source, keys.person, keys.sealer, as_of=as_of)
    schema = schema_of(source)
    rows_part, rejects_part = (path.with_name(path.name + ".part") for path in (rows_path, rejects_path))
    accepted = rejected = 0
    try:
        with pq.ParquetWriter(rows_part, schema, compression="zstd") as writer, rejects_part.open("w") as rejects:
            batch: list[dict[str, Any]] = []
            for item in read_rows(arrived, source):
                row = item if isinstance(item, Reject) else reader.read(*item)
                if isinstance(row, Reject):
                    rejects.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
                    rejected += 1
                    continue
                accepted += 1
                batch.append({**row, "feed_id": str(feed_id), "as_of": as_of})
                if len(batch) == _BATCH_ROWS:
                    writer.write_table(pa.Table.from_pylist(batch, schema))
                    batch = []
            writer.write_table(pa.Table.from_pylist(batch, schema))
        for part, path in ((rows_part, rows_path), (rejects_part, rejects_path)):
            part.chmod(0o440)
            os.replace(part, path)
    finally:
        rows_part.unlink(missing_ok=True)
        rejects_part.unlink(missing_ok=True)
    return Taken(accepted, rejected, digest_of(rows_path))


def read_rejects(path: Path, *, after: int, limit: int) -> list[dict[str, Any]]:
    """`limit` rejects after the first `after`."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in islice(file, after, after + limit)]


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

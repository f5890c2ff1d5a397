"""Names at rest: a feed's Parquet holds them sealed by the block, one block's names in its first row.

Sealing (SM4-GCM) costs little more for a block of names than for one. A name is found again by its feed and `feed_row`.
Blocks begin anew in each row group, and each is bound to its feed, column and first row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from libs.common.privacy import Sealer

BLOCK_ROWS = 250


def seal_names(names: Sequence[str | None], sealer: Sealer, feed_id: UUID, column: str, first_row: int) -> pa.Array:
    """The column as it is stored: for each block its sealed names, then nothing."""
    sealed: list[str | None] = [None] * len(names)
    for start in range(0, len(names), BLOCK_ROWS):
        block = names[start : start + BLOCK_ROWS]
        if any(block):
            lines = "\n".join(name or "" for name in block)  # a name holds no line feed (`parse_name`)
            sealed[start] = sealer.seal(lines, *_bound(feed_id, column, first_row + start))
    return pa.array(sealed, pa.string())


def open_names(path: Path, sealer: Sealer, feed_id: UUID, column: str, rows: Iterable[int]) -> dict[int, str]:
    """The names that stand at these rows of a stored feed, where there are any."""
    found: dict[int, str] = {}
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        begins = np.cumsum([0, *sizes])
        wanted: dict[int, dict[int, list[int]]] = {}
        for row in sorted(set(rows)):
            group = int(np.searchsorted(begins, row, side="right")) - 1
            block = (row - int(begins[group])) // BLOCK_ROWS
            wanted.setdefault(group, {}).setdefault(block, []).append(row)
        for group, blocks in wanted.items():
            sealed = file.read_row_group(group, columns=[f"{column}_sealed"]).column(0)
            for block, within in blocks.items():
                first = int(begins[group]) + block * BLOCK_ROWS
                text = sealed[block * BLOCK_ROWS].as_py()
                if text is not None:
                    lines = sealer.open(text, *_bound(feed_id, column, first)).split("\n")
                    found |= {row: lines[row - first] for row in within if lines[row - first]}
    return found


def _bound(feed_id: UUID, column: str, row: int) -> tuple[object, ...]:
    return "feeds", feed_id, column, row

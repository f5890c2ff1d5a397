"""How a feed's rows lie in Parquet. Imports little: a comparison's process starts with it."""

from __future__ import annotations

import pyarrow as pa

from services.matching.sources import TOKENS, Source

TYPES: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "month_end": pa.date32(),
    "whole_number": pa.int64(),
    "level": pa.int32(),
    "certificate_number": pa.int32(),
    "yes_no": pa.bool_(),
}
"""How a column's values are stored; as text where nothing else is said."""


def schema_of(source: Source) -> pa.Schema:
    """The columns of a source as stored; `file_row` is its number in the file sent, `feed_row` in the feed."""
    fields = []
    for column in source.columns:
        if column.form == "name":
            fields += [(f"{column.stored}_sealed", pa.string()), (f"{column.stored}_token", pa.string())]
        elif column.form in TOKENS:
            fields.append((f"{column.stored}_token", pa.string()))
        else:
            fields.append((column.stored, TYPES.get(column.form, pa.string())))
    ends = [("file_row", pa.int64()), ("feed_row", pa.int64()), ("feed_id", pa.string()), ("as_of", pa.date32())]
    return pa.schema([*fields, *ends])

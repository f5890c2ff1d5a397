"""What the engine reads of the service's own database: the roster, and the facts known so far."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from libs.common.database import Transaction
from services.matching.engine import KNOWN_SCHEMA, ROSTER_SCHEMA, table_from_csv

_ROSTER = """
SELECT r.person_id, r.subsidy, CASE WHEN starts_with(r.area, span ->> 'area') THEN r.area ELSE span ->> 'area' END,
    split_part(span ->> 'from', '-', 1)::int * 12 + split_part(span ->> 'from', '-', 2)::int - 1,
    split_part(span ->> 'to', '-', 1)::int * 12 + split_part(span ->> 'to', '-', 2)::int - 1
FROM roster r, jsonb_array_elements(r.schedule) AS span
WHERE starts_with(span ->> 'area', $1) AND ($2::text[] IS NULL OR r.person_id = ANY ($2))
ORDER BY r.person_id, r.subsidy, 4
"""

_KNOWN = """
SELECT person_id, kind, occurred_on, to_char(known_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    data ->> 'category', data ->> 'level', data ->> 'expires_on', (data ->> 'in_transit')::boolean,
    CASE WHEN kind LIKE 'benefit.%' THEN data ->> 'kind' END, data ->> 'until'
FROM standing_facts
WHERE starts_with(kind, $1) AND ($2::text[] IS NULL OR person_id = ANY ($2))
"""

_CONCERNED = """
SELECT person_id FROM roster WHERE starts_with(area, $1)
UNION SELECT person_id FROM applications WHERE starts_with(area, $1)
"""


_LISTED = """
SELECT person_id FROM registers_told k
WHERE source = $1 AND listed AND starts_with(area, $2) AND as_of <= $3
    AND NOT EXISTS (
        SELECT FROM feeds f
        WHERE f.source = $1 AND f.status = 'ready' AND f.as_of > $3
            AND (starts_with(f.area, k.area) OR starts_with(k.area, f.area))
    )
    AND NOT EXISTS (SELECT FROM persons p WHERE p.person_id = k.person_id AND p.merged_into IS NOT NULL)
"""

_PERSONS_SCHEMA = pa.schema([("person_id", pa.string())])


async def export_roster(tx: Transaction, area: str, persons: Sequence[str] | None = None) -> pa.Table:
    """Every month that is payable in `area`, to everybody or to these, as spans per person and subsidy: by the township
    that the person lives in, where it lies in the county that pays."""
    return await _copy(tx, _ROSTER, ROSTER_SCHEMA, area, persons)


async def export_known(tx: Transaction, kinds: str, persons: Sequence[str] | None) -> pa.Table:
    """The standing facts whose kind starts with `kinds`, of everybody or of these."""
    return await _copy(tx, _KNOWN, KNOWN_SCHEMA, kinds, persons)


async def export_concerned(tx: Transaction, area: str) -> pa.Table:
    """Everybody in `area` who was ever paid, or applied."""
    return await _copy(tx, _CONCERNED, _PERSONS_SCHEMA, area)


async def export_listed(tx: Transaction, feed: Mapping[str, Any]) -> pa.Table:
    """Whom a register listed that this feed should list too: nobody where it is not whole, or older than another."""
    if feed["mode"] != "snapshot":
        return _PERSONS_SCHEMA.empty_table()
    return await _copy(tx, _LISTED, _PERSONS_SCHEMA, feed["source"], feed["area"], feed["as_of"])


async def _copy(tx: Transaction, query: str, schema: pa.Schema, *arguments: object) -> pa.Table:
    # COPY through a file: a nation's roster is no list of Python objects.
    raw = await tx.connection.get_raw_connection()
    driver: Any = raw.driver_connection
    with tempfile.TemporaryDirectory(prefix="liangbu-") as folder:
        path = Path(folder) / "rows.csv"
        await driver.copy_from_query(query, *arguments, output=path, format="csv")
        return await asyncio.to_thread(table_from_csv, path, schema)

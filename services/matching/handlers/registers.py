"""Registers of cards, guardianships and residents of institutions, told to intake, which knows whom the money goes to
(notice 4.4 to 4.6). Only what differs from what was told before is told, and whom a whole register names no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from typing import Any

import pyarrow as pa
from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Database, Transaction
from libs.common.events.matching import RegisterTold
from services.matching import engine
from services.matching.feeds import FeedFolder
from services.matching.handlers.exports import export_concerned, export_listed
from services.matching.rejects import unread_in

REGISTERS = {"social_cards": "cards", "guardianships": "guardians", "institution_residents": "residences"}
"""Under which field each register's entries are told."""
_PERSONS_AT_ONCE = 1000
_Entries = list[dict[str, Any]]

# An older file than the one told last says nothing new; the same file again, nothing at all.
_KEEP = text(
    """
    INSERT INTO registers_told AS known (person_id, source, version, area, as_of, entries)
    SELECT person_id, :source, 1, :area, :as_of, entries
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (person_id text, entries jsonb)
    ON CONFLICT (person_id, source) DO UPDATE
    SET version = known.version + 1, area = excluded.area, as_of = excluded.as_of, entries = excluded.entries,
        listed = true
    WHERE excluded.as_of >= known.as_of AND (excluded.entries <> known.entries OR NOT known.listed)
    RETURNING person_id, version
    """
)

_NOTE_UNLISTED = text(
    """
    UPDATE registers_told SET version = version + 1, as_of = :as_of, listed = false
    WHERE source = :source AND person_id = ANY(:person_ids) AND listed AND as_of <= :as_of
    RETURNING person_id, version, entries
    """
).columns(entries=JSONB)


async def tell_register(database: Database, folder: FeedFolder, feed: Mapping[str, Any]) -> None:
    """Publishes what the feed says of each person in its area whom we pay, or who applied. A file that names a person
    names all that the register has of them. Interrupted and done again, it tells the rest."""
    source = feed["source"]
    stored = source, feed["as_of"], feed["feed_id"]
    stored = source, feed["as_of"], feed["feed_id"]
    rows = await asyncio.to_thread(folder.fetch, folder.rows(*stored))
    rejects = await asyncio.to_thread(folder.fetch, folder.rejects(*stored))
    views: dict[str, Any] = {"feed": [rows], "unread": await asyncio.to_thread(unread_in, [rejects])}
    async with database.transaction() as tx:
        views["concerned"] = await export_concerned(tx, feed["area"])
        views["listed_before"] = await export_listed(tx, feed)
    texts = {"told": engine.sql_text(f"{source}_told"), "unlisted": engine.sql_text("unlisted")}
    duckdb = engine.DuckDb(spill_folder=folder.spill)
    found = await asyncio.to_thread(lambda: dict(duckdb.tables(texts, views, as_of=feed["as_of"])))
    listed = _by_person(found["told"])
    while some := list(islice(listed, _PERSONS_AT_ONCE)):
        async with database.transaction() as tx:
            await _tell(tx, feed, some)
    gone = found["unlisted"]["person_id"].to_pylist()
    for start in range(0, len(gone), _PERSONS_AT_ONCE):
        async with database.transaction() as tx:
            await _tell_unlisted(tx, feed, gone[start : start + _PERSONS_AT_ONCE])


async def _tell(tx: Transaction, feed: Mapping[str, Any], some: Sequence[tuple[str, _Entries]]) -> None:
    entries = dict(some)
    await tx.lock(*entries)
    told = [{"person_id": person_id, "entries": said} for person_id, said in some]
    about = {"source": feed["source"], "as_of": feed["as_of"], "area": feed["area"]}
    kept = await tx.connection.execute(_KEEP, {"told": to_json(told).decode(), **about})
    for person_id, version in kept.all():
        said = {REGISTERS[feed["source"]]: entries[person_id]}
        tx.publish(RegisterTold(person_id=person_id, version=version, **about, **said))


async def _tell_unlisted(tx: Transaction, feed: Mapping[str, Any], person_ids: Sequence[str]) -> None:
    await tx.lock(*person_ids)
    about = {"source": feed["source"], "as_of": feed["as_of"]}
    noted = await tx.connection.execute(_NOTE_UNLISTED, {"person_ids": list(person_ids), **about})
    for person_id, version, entries in noted.all():
        said = {REGISTERS[feed["source"]]: entries}
        tx.publish(RegisterTold(person_id=person_id, version=version, area=feed["area"], listed=False, **about, **said))


def _by_person(rows: pa.Table) -> Iterator[tuple[str, _Entries]]:
    one_by_one = chain.from_iterable(batch.to_pylist() for batch in rows.to_batches(_PERSONS_AT_ONCE))
    for person_id, listed in groupby(one_by_one, key=lambda row: str(row.pop("person_id"))):
        yield person_id, [{_TOLD_AS.get(name, name): value for name, value in row.items()} for row in listed]


_TOLD_AS = {"from_on": "from", "to_on": "to"}

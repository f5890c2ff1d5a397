"""Registers of cards, guardianships and residents of institutions, told to intake, which knows whom the money goes to
(notice 4.4 to 4.6). Only what differs from what was told before is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from typing import Any

import pyarrow as pa
from pydantic_core import to_json
from sqlalchemy import text

from libs.common.database import Database, Transaction
from libs.common.events.matching import RegisterTold
from services.matching import engine
from services.matching.feeds import FeedFolder
from services.matching.handlers.exports import export_concerned

REGISTERS = {"social_cards": "cards", "guardianships": "guardians", "institution_residents": "residences"}
"""Under which field each register's entries are told."""
_PERSONS_AT_ONCE = 1000
_Entries = list[dict[str, Any]]

# An older file than the one told last says nothing new; the same file again, nothing at all.
_KEEP = text(
    """
    INSERT INTO registers_told AS known (person_id, source, version, as_of, entries)
    SELECT person_id, :source, 1, :as_of, entries
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (person_id text, entries jsonb)
    ON CONFLICT (person_id, source) DO UPDATE
    SET version = known.version + 1, as_of = excluded.as_of, entries = excluded.entries
    WHERE excluded.as_of >= known.as_of AND excluded.entries <> known.entries
    RETURNING person_id, version
    """
)


async def tell_register(database: Database, folder: FeedFolder, feed: Mapping[str, Any]) -> None:
    """Publishes what the feed says of each person in its area whom we pay, or who applied. A file that names a person
    names all that the register has of them. Interrupted and done again, it tells the rest."""
    source = feed["source"]
    path = await asyncio.to_thread(folder.fetch, folder.rows(source, feed["as_of"], feed["feed_id"]))
    async with database.transaction() as tx:
        views: engine.Views = {"feed": [path], "concerned": await export_concerned(tx, feed["area"])}
    duckdb = engine.DuckDb(spill_folder=folder.spill)
    rows = await asyncio.to_thread(engine.query, f"{source}_told", views, as_of=feed["as_of"], engine=duckdb)
    listed = _by_person(rows)
    while some := list(islice(listed, _PERSONS_AT_ONCE)):
        async with database.transaction() as tx:
            await _tell(tx, feed, some)


async def _tell(tx: Transaction, feed: Mapping[str, Any], some: Sequence[tuple[str, _Entries]]) -> None:
    entries = dict(some)
    await tx.lock(*entries)
    told = [{"person_id": person_id, "entries": said} for person_id, said in some]
    about = {"source": feed["source"], "as_of": feed["as_of"]}
    kept = await tx.connection.execute(_KEEP, {"told": to_json(told).decode(), **about})
    for person_id, version in kept.all():
        said = {REGISTERS[feed["source"]]: entries[person_id]}
        tx.publish(RegisterTold(person_id=person_id, version=version, area=feed["area"], **about, **said))


def _by_person(rows: pa.Table) -> Iterator[tuple[str, _Entries]]:
    one_by_one = chain.from_iterable(batch.to_pylist() for batch in rows.to_batches(_PERSONS_AT_ONCE))
    for person_id, listed in groupby(one_by_one, key=lambda row: str(row.pop("person_id"))):
        yield person_id, [{_TOLD_AS.get(name, name): value for name, value in row.items()} for row in listed]


_TOLD_AS = {"from_on": "from", "to_on": "to"}

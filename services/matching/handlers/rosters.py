"""Rosters that others keep, told to disbursement, which compares them with what is entitled (notice 4.1): the national
system's, and those on paper. Only here resident IDs become person ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import chain, groupby, islice
from typing import Any, Literal

import pyarrow as pa

from libs.common.database import Database
from libs.common.events.matching import ListedMonths, RosterListed, RosterReceived
from libs.common.period import Period
from services.matching import engine
from services.matching.feeds import FeedFolder

LISTED_ROSTERS: dict[str, Literal["national", "paper"]] = {"national_roster": "national", "paper_roster": "paper"}
_PERSONS_AT_ONCE = 1000


async def tell_roster(database: Database, folder: FeedFolder, feed: Mapping[str, Any]) -> None:
    """Publishes what the feed lists, person by person, and how many there are. Done again it tells the same."""
    path = await asyncio.to_thread(folder.fetch, folder.rows(feed["source"], feed["as_of"], feed["feed_id"]))
    duckdb = engine.DuckDb(spill_folder=folder.spill)
    rows = await asyncio.to_thread(engine.query, "listed", {"feed": [path]}, as_of=feed["as_of"], engine=duckdb)
    about = {
        "feed_id": feed["feed_id"],
        "roster": LISTED_ROSTERS[feed["source"]],
        "area": feed["area"],
        "as_of": feed["as_of"],
    }
    persons = 0
    listed = _by_person(rows)
    while some := list(islice(listed, _PERSONS_AT_ONCE)):
        async with database.transaction() as tx:
            for person_id, entries in some:
                tx.publish(RosterListed(person_id=person_id, entries=entries, **about))
        persons += len(some)
    async with database.transaction() as tx:
        tx.publish(RosterReceived(persons=persons, **about))


def _by_person(rows: pa.Table) -> Iterator[tuple[str, tuple[ListedMonths, ...]]]:
    one_by_one = chain.from_iterable(batch.to_pylist() for batch in rows.to_batches(_PERSONS_AT_ONCE))
    for person_id, listed in groupby(one_by_one, key=lambda row: row["person_id"]):
        yield (
            str(person_id),
            tuple(
                ListedMonths(
                    subsidy=row["subsidy"],
                    area=row["area"],
                    from_=Period.of(row["from_on"]),
                    to=Period.of(row["to_on"]) if row["to_on"] else None,
                )
                for row in listed
            ),
        )

"""Everything known of everybody in an area, out of the service's own database, as Arrow facts in Parquet files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from libs.common.database import Database
from services.eligibility.bulk.arrow import write_facts
from services.eligibility.columns import columns_of
from services.eligibility.handlers.entitlements import Person, load_persons
from services.eligibility.handlers.reevaluation import NEXT_PERSONS

_CHUNK_PERSONS = 5_000


async def export_facts(database: Database, area: str, folder: Path) -> int:
    """Writes the facts of all who ever lived in `area`, chunk by chunk, a file each; how many persons.

    No lock is taken: what arrives meanwhile is judged on its event.
    """
    after, persons = "", 0
    while True:
        async with database.transaction() as tx:
            found = await tx.connection.execute(
                NEXT_PERSONS, {"after": after, "prefix": area + "%", "chunk": _CHUNK_PERSONS}
            )
            person_ids = list(found.scalars())
            loaded = await load_persons(tx, person_ids) if person_ids else []
        if not loaded:
            return persons
        await asyncio.to_thread(_write, loaded, folder / f"persons-{persons:09}.parquet")
        after, persons = person_ids[-1], persons + len(loaded)


def _write(persons: list[Person], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    facts = columns_of([person.facts() for person in persons])
    pq.write_table(pa.Table.from_batches([write_facts([person.person_id for person in persons], facts)]), file)

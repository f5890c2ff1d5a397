"""What a feed says that was not known: facts where the sender's word is one, leads about whom others pay, and what is
told on to other services."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import update

from libs.common.database import Database, Transaction
from libs.common.period import business_date
from services.matching import comparison as bulk
from services.matching import engine
from services.matching.exclusions import exclusion_views
from services.matching.feeds import FeedFolder
from services.matching.findings import leads_of
from services.matching.handlers.comparisons import counties_of
from services.matching.handlers.exports import export_known, export_roster
from services.matching.handlers.facts import Assertion, new_fact
from services.matching.handlers.findings import assert_authoritative
from services.matching.handlers.leads import open_leads
from services.matching.handlers.registers import REGISTERS, tell_register
from services.matching.handlers.rosters import LISTED_ROSTERS, tell_roster
from services.matching.parameters import load_parameters
from services.matching.tables import feeds

_FACTS_AT_ONCE = 1000
FEW_PERSONS = 50_000
"""Of so many, what is known and paid is asked for person by person; for more it is read whole."""
_FACT_KINDS = {"certificates": "certificate.", "low_income": "low_income.", "benefits": "benefit."}
"""Sources whose keeper's word is a fact, and how the kinds of these facts begin (`sql/<source>_facts.sql`)."""


async def act_on(database: Database, folder: FeedFolder, feed: Mapping[str, Any]) -> None:
    """Asserts what the feed says that was not known. Interrupted and done again, it asserts the rest."""
    if feed["authoritative"]:
        news = await _news(database, folder, feed)
        changes = news["facts"]
        for start in range(0, len(changes), _FACTS_AT_ONCE):
            async with database.transaction() as tx:
                await _assert_changes(tx, feed, changes.slice(start, _FACTS_AT_ONCE).to_pylist())
        if "leads" in news:
            leads = leads_of(news["leads"].to_pylist())
            for start in range(0, len(leads), _FACTS_AT_ONCE):
                async with database.transaction() as tx:
                    some = leads[start : start + _FACTS_AT_ONCE]
                    await open_leads(tx, some, opened_on=business_date(tx.now))
    if feed["source"] in LISTED_ROSTERS:
        await tell_roster(database, folder, feed)
    if feed["source"] in REGISTERS:
        await tell_register(database, folder, feed)
    async with database.transaction() as tx:
        await tx.connection.execute(update(feeds).where(feeds.c.feed_id == feed["feed_id"]).values(status="ready"))


async def _news(database: Database, folder: FeedFolder, feed: Mapping[str, Any]) -> dict[str, pa.Table]:
    """The facts that were not known, and of benefits the leads about whom another area pays: its own comparisons do
    not read this feed. As tables: a province's first register is millions of them, too many for Python objects."""
    source, texts = feed["source"], {"facts": engine.sql_text(f"{feed['source']}_facts")}
    path = await asyncio.to_thread(folder.fetch, folder.rows(source, feed["as_of"], feed["feed_id"]))
    persons = await asyncio.to_thread(_few_persons_in, path)
    views: dict[str, Any] = {"feed": [path]}
    async with database.transaction() as tx:
        views["known"] = await export_known(tx, _FACT_KINDS[source], persons)
        if source == "benefits":
            roster = await export_roster(tx, "", persons)
            rules = bulk.rules(await load_parameters(tx), counties_of(roster))
            elsewhere = pc.invert(pc.starts_with(roster["area"], feed["area"]))
            views |= {"everybody": roster, "roster": roster.filter(elsewhere), source: views["feed"]}
            views |= exclusion_views(rules)
            texts["leads"] = bulk.leads_query(rules, [source])
    duckdb = engine.DuckDb(spill_folder=folder.spill)
    return await asyncio.to_thread(lambda: dict(duckdb.tables(texts, views, as_of=feed["as_of"])))


def _few_persons_in(path: Path) -> list[str] | None:
    """Whom a feed names, if they are few enough to ask for each."""
    persons = pq.ParquetFile(path).read(columns=["person_id"])["person_id"].unique()
    return None if len(persons) > FEW_PERSONS else persons.to_pylist()


async def _assert_changes(tx: Transaction, feed: Mapping[str, Any], changes: Sequence[dict[str, Any]]) -> None:
    await tx.lock(*{change["person_id"] for change in changes})
    assertions = []
    for change in changes:
        fields = {
            name: value
            for name, value in change.items()
            if value is not None and name not in ("person_id", "kind", "occurred_on", "benefit", "until_on")
        }
        fields |= {"until": change.get("until_on")}
        if "benefit" in change:
            fields["kind"] = change["benefit"]
        fact = new_fact(
            tx, change["kind"], change["person_id"], change["occurred_on"], source=feed["source"], fields=fields
        )
        assertions.append(Assertion(fact, change["area"] or feed["area"], feed["sent_by"], feed_id=feed["feed_id"]))
    await assert_authoritative(tx, assertions)
    more = feeds.c.facts + len(assertions)
    await tx.connection.execute(update(feeds).where(feeds.c.feed_id == feed["feed_id"]).values(facts=more))

"""What a comparison reads, and what it comes to: a function of stored files and the texts of its rules.

The same files under the same rules give the same leads, whichever engine runs them: their digest is in the ledger, and
an old comparison can be run again to the same end (notice 3).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.csv as pa_csv

from libs.common.parameters import Parameters
from libs.common.privacy import sm3_hex
from services.matching.engine import Engine, Views, sql_text, write_parquet
from services.matching.exclusions import exclusion_views, exclusions
from services.matching.rejects import unread_in
from services.matching.sources import COMPARED, SOURCES
from services.matching.stored import schema_of

REGISTERS = ("certificates", "low_income")
"""Sources that list who is in a state, so that it tells something when a person is no longer listed."""

LEADS = {**{source: source for source in COMPARED}, **{f"vanished_{source}": source for source in REGISTERS}}
"""The files of `sql/` that say what a source alleges, and whose word each is; `leads.sql` says whom it concerns."""

_ALLEGED = "person_id, subsidy, kind, alleged_on, stops_on, last_month, word, until_on, feed_id, feed_row"

DISCREPANCIES = ("other_name", "other_id", "two_dates")
"""The files of `sql/` that find what does not fit together (数据疑点): notes, which stop nothing."""

LEAD_SCHEMA = pa.schema(
    [
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("alleged_on", pa.date32()),
        ("area", pa.string()),
        ("word", pa.string()),
        ("until_on", pa.date32()),
        ("feed_id", pa.string()),
        ("feed_row", pa.int64()),
    ]
)

DISCREPANCY_SCHEMA = pa.schema(
    [
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("area", pa.string()),
        ("other_person_id", pa.string()),
        ("source", pa.string()),
        ("feed_id", pa.string()),
        ("feed_row", pa.int64()),
        ("said_on", pa.date32()),
        ("other_source", pa.string()),
        ("other_feed_id", pa.string()),
        ("other_feed_row", pa.int64()),
        ("other_said_on", pa.date32()),
        ("mark", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that a comparison reads. `before`: it is the snapshot compared before, which shows who has vanished;
    `whole`: it is the snapshot of today, and `rejects` are its rows that could not be read."""

    source: str
    feed_id: UUID
    path: Path
    before: bool = False
    whole: bool = False
    rejects: Path | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """How many leads and discrepancies there are, and the digest (SM3) of each of the two lists."""

    leads: int
    discrepancies: int
    digest: str


def rules(parameters: Parameters, counties: Iterable[str]) -> dict[str, str]:
    """The rules of today, by name: each file of `sql/` that a comparison runs, and what the policy of these counties
    says of other benefits."""
    texts = {name: sql_text(name) for name in (*LEADS, "leads", *DISCREPANCIES)}
    return texts | exclusions(parameters, counties)


def queries(texts: Mapping[str, str], feeds: Sequence[Feed]) -> dict[str, str]:
    """What an engine is asked: for all leads at once, so that it reads the roster once, and for each discrepancy."""
    alleging = [name for name in LEADS if _has_something(name, feeds)]
    found = {name: texts[name] for name in DISCREPANCIES}
    return {"leads": leads_query(texts, alleging), **found} if alleging else found


def leads_query(texts: Mapping[str, str], alleging: Iterable[str]) -> str:
    """`leads.sql` over what these files allege."""
    alleged = "\nUNION ALL\n".join(
        f"SELECT '{LEADS[name]}' AS source, {_ALLEGED} FROM (\n{texts[name]}) {name}"  # noqa: S608 (our own files)
        for name in alleging
    )
    return f"WITH alleged AS (\n{alleged}\n)\n{texts['leads']}"


def compare(
    engine: Engine, texts: Mapping[str, str], roster: Path, feeds: Sequence[Feed], as_of: date
) -> tuple[pa.Table, pa.Table]:
    """The leads and the discrepancies, each in an order of its own."""
    leads, discrepancies = LEAD_SCHEMA.empty_table(), [DISCREPANCY_SCHEMA.empty_table()]
    for name, found in engine.tables(queries(texts, feeds), views_of(texts, roster, feeds), as_of=as_of):
        if name == "leads":
            leads = _shaped(found, LEAD_SCHEMA)
        else:
            discrepancies.append(_shaped(found, DISCREPANCY_SCHEMA))
    return _ordered(leads), _ordered(pa.concat_tables(discrepancies))


def compare_and_keep(
    engine: Engine,
    texts: Mapping[str, str],
    roster: Path,
    feeds: Sequence[Feed],
    as_of: date,
    leads_path: Path,
    discrepancies_path: Path,
) -> Compared:
    """Compares, and writes what was found beside the roster."""
    leads, discrepancies = compare(engine, texts, roster, feeds, as_of)
    write_parquet(leads, leads_path)
    write_parquet(discrepancies, discrepancies_path)
    return Compared(len(leads), len(discrepancies), digest_of_found(leads, discrepancies))


def views_of(texts: Mapping[str, str], roster: Path, feeds: Sequence[Feed]) -> Views:
    """Every view that a rule may name; those of sources without a feed are empty."""
    views: dict[str, Sequence[Path] | pa.Table] = {"roster": [roster], **exclusion_views(texts)}
    for source in COMPARED:
        empty = schema_of(SOURCES[source]).empty_table()
        of_source = [feed for feed in feeds if feed.source == source]
        views[source] = [feed.path for feed in of_source if not feed.before] or empty
        if source in REGISTERS:
            views[f"{source}_before"] = [feed.path for feed in of_source if feed.before] or empty
            views[f"{source}_now"] = [feed.path for feed in of_source if feed.whole] or empty
            views[f"{source}_unread"] = unread_in(feed.rejects for feed in of_source if feed.rejects is not None)
    return views


def digest_of_found(leads: pa.Table, discrepancies: pa.Table) -> str:
    """SM3 over both lists as CSV."""
    text = io.BytesIO()
    for table in (leads, discrepancies):
        pa_csv.write_csv(table, text)
    return sm3_hex(text.getvalue())


def _has_something(name: str, feeds: Iterable[Feed]) -> bool:
    """Whether a file could allege anything; what no feed speaks of need not be run."""
    source = LEADS[name]
    return any(feed.source == source and feed.before == (name != source) for feed in feeds)


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select(schema.names).cast(schema)


def _ordered(table: pa.Table) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in table.schema.names])

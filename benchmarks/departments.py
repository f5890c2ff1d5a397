"""A roster, six feeds of departments and a file as one of them sends it, made up in any size for `matching.py`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from libs.common.identity import check_character
from libs.common.privacy import PersonKeys, Sealer
from services.matching.comparison import Feed
from services.matching.engine import write_parquet
from services.matching.feeds import Keys
from services.matching.names import seal_names
from services.matching.sources import SOURCES
from services.matching.stored import schema_of

AS_OF = date(2026, 6, 30)
KEYS = Keys(PersonKeys.parse("1:" + "ab" * 32), Sealer.parse("k1:" + "cd" * 16))
SHARES = {
    "certificates": 0.5,
    "low_income": 0.3,
    "population": 0.1,
    "deaths": 0.05,
    "cremations": 0.03,
    "prisons": 0.02,
}
"""Of six feeds that hold as many rows together as the roster has persons."""
STRANGE_SHARE = 0.97
"""How many of the dead, moved and imprisoned are nobody's on the roster: departments send whole populations."""
TOWNSHIP = 1667
"""So many recipients live in one: more persons are more townships. In townships that grew instead, those who bear one
name would grow with the square."""
GROUP_ROWS = 32_000


def make(folder: Path, persons: int) -> tuple[Path, list[Feed]]:
    """The roster and six feeds, as they lie when they were taken in. Not the same persons in each, nor in one order."""
    chance = np.random.default_rng(persons)
    ids = _person_ids(np.arange(persons))
    townships = max(600, persons // TOWNSHIP)
    areas = pa.array([f"53{at // 1000:02d}{at // 20 % 50:02d}{at % 20:03d}" for at in range(townships)])
    home = areas.take(pa.array(chance.integers(0, townships, persons)))
    since = pa.array(chance.integers(2020 * 12, 2026 * 12, persons), pa.int32())
    subsidy = pa.array(["living", "care"]).take(pa.array(chance.integers(0, 2, persons)))
    roster = pa.table(
        [ids, subsidy, home, since, pa.nulls(persons, pa.int32())],
        names=["person_id", "subsidy", "area", "from_month", "to_month"],
    )
    path, feeds = _inputs(folder)
    write_parquet(roster, path)
    for number, feed in enumerate(feeds):
        source, rows = feed.source, int(persons * SHARES[feed.source])
        known = source in ("certificates", "low_income")
        of = chance.permutation(persons)[:rows] if known else chance.integers(0, persons, rows)
        strange = np.zeros(rows, bool) if known else chance.random(rows) < STRANGE_SHARE
        who = np.where(strange, of + 10 * persons + number * persons, of)
        _write_feed(feed, _person_ids(who), areas.take(pa.array(chance.integers(0, townships, rows))), chance)
    return path, feeds


def made(folder: Path) -> tuple[Path, list[Feed]] | None:
    """What `make` left in the folder, if it is all there."""
    path, feeds = _inputs(folder)
    return (path, feeds) if all(file.exists() for file in (path, *(feed.path for feed in feeds))) else None


def _inputs(folder: Path) -> tuple[Path, list[Feed]]:
    feeds = [Feed(source, UUID(int=number), folder / f"{source}.parquet") for number, source in enumerate(SHARES)]
    return folder / "roster.parquet", feeds


def _write_feed(feed: Feed, persons: pa.Array, areas: pa.Array, chance: np.random.Generator) -> None:
    rows, schema = len(persons), schema_of(SOURCES[feed.source])
    days = pa.array(chance.integers(20_200, 20_600, rows).astype(np.int32)).cast(pa.date32())
    ended = pa.array(chance.random(rows) < 0.99)
    columns: dict[str, pa.Array] = {
        "person_id": persons,
        "area": areas,
        "occurred_on": days,
        "from_on": days,
        "issued_on": days,
        "changed_on": days,
        "expires_on": pa.array(chance.integers(20_590, 24_000, rows).astype(np.int32)).cast(pa.date32()),
        "to_on": pa.compute.if_else(ended, pa.nulls(rows, pa.date32()), days),
        "event": pa.array(["moved", "cancelled", "reappeared"]).take(pa.array(chance.integers(0, 3, rows))),
        "kind": pa.array(["serving", "detained", "parole"]).take(pa.array(chance.integers(0, 3, rows))),
        "category": pa.repeat("dibao" if feed.source == "low_income" else "physical", rows),
        "level": pa.array(np.full(rows, 2, np.int32)),
        "status": pa.repeat("valid", rows),
        "feed_row": pa.array(np.arange(rows)),
        "file_row": pa.array(np.arange(rows) + 2),
        "feed_id": pa.repeat(str(feed.feed_id), rows),
        "as_of": pa.repeat(pa.scalar(AS_OF, pa.date32()), rows),
        "name_token": pa.compute.utf8_slice_codeunits(persons, 3, 7),  # 65,536 names
    }
    whole = pa.table([columns.get(field.name, pa.nulls(rows, field.type)) for field in schema], schema=schema)
    with pq.ParquetWriter(feed.path, schema, compression="zstd") as writer:
        for first in range(0, rows, GROUP_ROWS):
            part = whole.slice(first, GROUP_ROWS)
            if "name_sealed" in schema.names:
                sealed = seal_names(["张三"] * len(part), KEYS.sealer, feed.feed_id, "name", first)
                part = part.set_column(schema.get_field_index("name_sealed"), "name_sealed", sealed)
            writer.write_table(part, row_group_size=len(part))


def _person_ids(numbers: np.ndarray) -> pa.Array:
    """As long and as random as those that an HMAC gives."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    high = (mixed ^ (mixed >> np.uint64(29))).astype(">u8").tobytes().hex()
    low = (mixed * np.uint64(0xBF58476D1CE4E5B9)).astype(">u8").tobytes().hex()
    return pa.array([f"p1-{high[at : at + 16]}{low[at : at + 16]}" for at in range(0, len(high), 16)])


def make_csv(path: Path, rows: int) -> None:
    """A feed of deaths as a department sends it: 2 % of its IDs and dates need repair, 1 % cannot be taken."""
    chance = np.random.default_rng(rows)
    family, given = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高", "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂梅"
    picks = chance.integers(0, 20, (rows, 3))
    with path.open("w", encoding="utf-8") as file:
        file.write("name,id_number,date,area\n")
        for at in range(rows):
            first = f"530102{1930 + at % 70}{1 + at % 12:02d}{1 + at % 28:02d}{at // 70 % 1000:03d}"
            number = first + check_character(first)
            day = f"2026-{1 + at % 6:02d}-{1 + at % 28:02d}"
            if at % 100 == 0:
                number = number[:-1] + ("0" if number[-1] != "0" else "1")
            elif at % 50 == 1:
                number, day = f" {number} ", f"2026年{1 + at % 6}月{1 + at % 28}日"
            name = family[picks[at, 0]] + given[picks[at, 1]] + given[picks[at, 2]]
            file.write(f"{name},{number},{day},5301{at % 30:02d}{at % 20:03d}\n")

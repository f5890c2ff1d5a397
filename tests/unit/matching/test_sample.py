"""The sample county's files are feeds: every row is taken, in every encoding that departments use."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.sample.county import build_county
from deploy.local.sample.files import FEED_COLUMNS, feed_csv, feed_rows
from services.matching.feeds import Keys, take_in
from services.matching.sources import SOURCES
from services.matching.staging import Staging
from tests.unit.matching.test_rows import PERSON_KEYS, SEALER

COUNTY = build_county("530102", 60, 7)


@pytest.mark.parametrize("source", sorted(FEED_COLUMNS))
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_every_row_of_the_sample_is_taken(source: str, encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    rows = list(feed_rows(COUNTY, source))
    file.write_text(feed_csv(source, rows), encoding=encoding)
    keys = Keys(PERSON_KEYS, SEALER)
    paths = tmp_path / "rows.parquet", tmp_path / "rejects.ndjson"
    taken = take_in(file, SOURCES[source], uuid4(), date(2026, 4, 30), keys, *paths, Staging(tmp_path / "staging"))
    assert (taken.accepted, taken.rejected) == (len(rows), 0)
    assert len(rows) > 0

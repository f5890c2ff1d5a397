"""A column batch gives, row for row, what the same persons give as objects."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.population import population
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES
from services.eligibility.bulk import evaluation
from services.eligibility.bulk.arrow import FACTS, judge_batch, write_facts
from services.eligibility.columns import columns_of
from services.eligibility.determination import Determination
from services.eligibility.facts import Facts
from services.eligibility.policy.parameters import shipped
from tests.policy import naive
from tests.policy.cases import read_cases
from tests.policy.test_against_naive import LAST, lives

Row = dict[str, Any]


def facts_batch(persons: int, seed: int = 7) -> pa.RecordBatch:
    return write_facts([f"p1-{number:08x}" for number in range(persons)], population(persons, seed))


def batch_of(persons: list[Facts]) -> pa.RecordBatch:
    return write_facts([str(number) for number in range(len(persons))], columns_of(persons))


def rows_of(batches: list[pa.RecordBatch]) -> list[Row]:
    rows = [row for batch in batches for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: (row["person_id"], row["subsidy"], row["from_month"]))


def rows_from_objects(persons: list[Facts]) -> list[Row]:
    judged = Determination(persons, shipped())
    rows = []
    for number in range(len(persons)):
        for subsidy in SUBSIDIES:
            schedule = judged.schedule(number, subsidy)
            for entry in schedule.entitlements:
                rows.append(
                    {
                        "person_id": str(number),
                        "subsidy": subsidy,
                        "from_month": entry.from_.year * 100 + entry.from_.month,
                        "to_month": None if entry.to is None else entry.to.year * 100 + entry.to.month,
                        "amount_fen": entry.amount_fen,
                        "area": entry.area,
                        "level": entry.level,
                        "category": entry.category,
                        "policy_version": entry.policy_version,
                        "cause": entry.cause,
                        "stopped_because": schedule.stopped_because if entry is schedule.entitlements[-1] else None,
                    }
                )
    return sorted(rows, key=lambda row: (row["person_id"], row["subsidy"], row["from_month"]))


def test_every_policy_case_comes_out_of_a_batch_as_it_does_of_objects() -> None:
    persons = [case.facts for case in read_cases()]
    rows = rows_of(judge_batch(batch_of(persons), shipped()))
    assert rows == rows_from_objects(persons)
    assert len(rows) > len(persons)


@settings(max_examples=60, deadline=None)
@given(st.lists(lives(), min_size=1, max_size=5))
def test_a_batch_gives_month_for_month_what_the_plain_rules_give(persons: list[Facts]) -> None:
    paid: dict[tuple[str, str], dict[naive.Month, tuple[int, str, int]]] = {}
    for row in rows_of(judge_batch(batch_of(persons), shipped())):
        until = Period(*LAST) if row["to_month"] is None else min(Period(*divmod(row["to_month"], 100)), Period(*LAST))
        for period in Period(*divmod(row["from_month"], 100)).through(until):
            months = paid.setdefault((row["person_id"], row["subsidy"]), {})
            months[period.year, period.month] = (row["amount_fen"], row["area"], row["level"])
    for number, facts in enumerate(persons):
        for subsidy in SUBSIDIES:
            assert paid.get((str(number), subsidy), {}) == naive.payable(facts, subsidy, LAST)


def test_a_population_has_every_cause_and_every_way_to_stop() -> None:
    rows = rows_of(judge_batch(facts_batch(20_000), shipped()))
    assert {row["cause"] for row in rows} == {
        "application.approved", "spell.resumed", "person.moved", "certificate.reassessed", "standard.changed",
    }  # fmt: skip
    stops = {row["stopped_because"] for row in rows}
    assert {"alive", "withdrawn", "moved_away", "certificate_held", "certificate_current", "not_in_tekun"} <= stops


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = facts_batch(3_000)
    whole = rows_of(list(evaluation.judge([batch], shipped())))
    monkeypatch.setattr(evaluation, "CHUNK_PERSONS", 700)
    assert rows_of(list(evaluation.judge([batch.slice(0, 1_100), batch.slice(1_100)], shipped()))) == whole


def test_the_order_within_a_persons_lists_does_not_matter() -> None:
    batch = facts_batch(2_000)
    turned = batch
    for position, field in enumerate(FACTS):
        if field.name == "person_id":
            continue
        column = batch.column(position)
        offsets = column.offsets.to_numpy()
        backwards = np.concatenate([np.arange(end, begin, -1) - 1 for begin, end in pairwise(offsets)]).astype(np.int64)
        entries = column.values.take(pa.array(backwards))
        turned = turned.set_column(position, field, pa.ListArray.from_arrays(column.offsets, entries))
    assert turned != batch
    assert rows_of(judge_batch(turned, shipped())) == rows_of(judge_batch(batch, shipped()))


def test_a_folder_of_facts_becomes_a_folder_of_schedules(tmp_path: Path) -> None:
    facts, schedules = tmp_path / "facts", tmp_path / "schedules"
    batches = [facts_batch(500, seed=seed) for seed in (1, 2)]
    for county, batch in zip(("530102", "530103"), batches, strict=True):
        (facts / county).mkdir(parents=True)
        pq.write_table(pa.Table.from_batches([batch]), facts / county / "part-0.parquet")
    evaluation.evaluate(facts, schedules, shipped())
    expected = [row for batch in batches for row in rows_of(judge_batch(batch, shipped()))]
    assert rows_of(ds.dataset(schedules).to_table().to_batches()) == sorted(
        expected, key=lambda row: (row["person_id"], row["subsidy"], row["from_month"])
    )

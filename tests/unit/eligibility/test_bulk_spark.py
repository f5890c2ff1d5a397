"""The same on Spark: `LIANGBU_ENGINE=local[2] pytest tests/unit/eligibility/test_bulk_spark.py`, with the extra `spark`
and Java 17."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from services.eligibility.bulk.evaluation import IN_PROCESS, evaluate
from services.eligibility.policy.parameters import read_layer, shipped
from tests.policy.cases import read_cases
from tests.unit.eligibility.test_bulk import batch_of, facts_batch

ENGINE = os.environ.get("LIANGBU_ENGINE", IN_PROCESS)
PERSONS = 100_000
_RAISED = """
layer: "5301"
title: 昆明市提标
parameters:
  living.amount_fen:
    - {since: 2026-03-01, value: 12000, source: 昆民发〔2026〕9号, clause: 第一条, confidence: V}
"""


@pytest.mark.skipif(ENGINE == IN_PROCESS, reason="LIANGBU_ENGINE names no Spark master")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_spark_and_this_process_judge_100_000_persons_alike(tmp_path: Path) -> None:
    facts = tmp_path / "facts"
    facts.mkdir()
    for part in range(4):
        table = pa.Table.from_batches([facts_batch(PERSONS // 4, seed=part)])
        pq.write_table(table, facts / f"part-{part}.parquet")
    pq.write_table(pa.Table.from_batches([batch_of([case.facts for case in read_cases()])]), facts / "cases.parquet")
    policy = shipped().with_layers([read_layer(_RAISED)])
    policy.version("530102")  # what a policy keeps at hand must not keep it from travelling
    tables = []
    for engine in (IN_PROCESS, ENGINE):
        evaluate(facts, tmp_path / engine, policy, engine=engine)
        table = ds.dataset(tmp_path / engine, format="parquet", exclude_invalid_files=True).to_table()
        tables.append(table.sort_by([(name, "ascending") for name in table.column_names]))
    here, spark = tables
    assert here.num_rows > PERSONS / 2
    assert 12000 in set(here.column("amount_fen").to_pylist())
    assert spark.cast(here.schema).equals(here)

"""Judging facts by the million: in this process chunk by chunk, or on Spark, with equal answers.

Facts lie in Parquet files, one folder or file per area as suits; nothing but a chunk of persons is ever in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from services.eligibility.bulk.arrow import SCHEDULES, judge_batch
from services.eligibility.policy.parameters import PolicySet

IN_PROCESS = "in-process"
CHUNK_PERSONS = 16_384
"""As many as the processor's cache likes."""
_SPARK_SCHEMA = ", ".join(
    f"{field.name} { ({'int8': 'tinyint', 'int32': 'int', 'int64': 'bigint'}.get(str(field.type), 'string')) }"
    for field in SCHEDULES
)


def judge(batches: Iterable[pa.RecordBatch], policy: PolicySet) -> Iterator[pa.RecordBatch]:
    """The schedules of all persons, a chunk at a time."""
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK_PERSONS):
            yield from judge_batch(batch.slice(start, CHUNK_PERSONS), policy)


def evaluate(facts: Path, schedules: Path, policy: PolicySet, *, engine: str = IN_PROCESS) -> None:
    """Reads the facts under one folder and writes the schedules into another, as Parquet. `engine` is `in-process`, or
    a Spark master: `spark://…` for a cluster, `local[2]` for a Spark of one's own."""
    if engine == IN_PROCESS:
        _in_process(facts, schedules, policy)
    else:
        _on_spark(facts, schedules, policy, engine)


def _in_process(facts: Path, schedules: Path, policy: PolicySet) -> None:
    schedules.mkdir(parents=True)
    with pq.ParquetWriter(schedules / "part-0.parquet", SCHEDULES) as writer:
        for batch in judge(ds.dataset(facts).to_batches(batch_size=CHUNK_PERSONS), policy):
            writer.write_batch(batch)


def _on_spark(facts: Path, schedules: Path, policy: PolicySet, master: str) -> None:
    from pyspark.sql import SparkSession  # the extra `spark`

    if master.startswith("local"):  # a cluster's workers know their own Python
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master(master)
        .appName("liangbu-eligibility")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", CHUNK_PERSONS)
        .config("spark.sql.session.timeZone", "Asia/Shanghai")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    try:
        rows = session.read.parquet(str(facts))
        rows.mapInArrow(_judge_with(policy), _SPARK_SCHEMA).write.parquet(str(schedules))
    finally:
        session.stop()


def _judge_with(policy: PolicySet) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    plain = PolicySet(policy.layers, policy.documents)  # without what it keeps at hand, which does not travel
    return lambda batches: judge(batches, plain)

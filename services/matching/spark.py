"""The SQL files on Spark, for rosters that one machine does not hold. An extra: `pip install .[spark]`, and Java 17."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from services.matching.engine import Views


@dataclass(frozen=True, slots=True)
class Spark:
    """`master` as Spark names it. The session stays for the next run; the Parquet files must be where its workers see
    them."""

    master: str

    def session(self) -> SparkSession:
        builder: SparkSession.Builder = SparkSession.builder
        return (
            builder.master(self.master)
            .appName("liangbu-matching")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.session.timeZone", "Asia/Shanghai")
            .config("spark.sql.execution.arrow.pyspark.enabled", "true")
            .getOrCreate()
        )

    def tables(self, queries: Mapping[str, str], views: Views, *, as_of: date) -> Iterator[tuple[str, pa.Table]]:
        session = self.session()
        session.sql(f"SELECT DATE '{as_of}' AS as_of").createOrReplaceTempView("run")
        for view, content in views.items():
            _frame(session, content).createOrReplaceTempView(view)
        for name, text in queries.items():
            yield name, session.sql(text).toArrow()


def _frame(session: SparkSession, content: object) -> DataFrame:
    if isinstance(content, pa.Table):
        return session.createDataFrame(content)
    assert isinstance(content, list | tuple)
    return session.read.option("mergeSchema", "true").parquet(*map(str, content))

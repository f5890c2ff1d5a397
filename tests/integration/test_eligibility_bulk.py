"""Judging a county anew in bulk comes to what events have stored, person by person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from sqlalchemy import text

from benchmarks.eligibility_events import approvals, facts, take
from libs.common.clock import business_today
from libs.common.database import Database
from libs.common.platform_schema import ensure_month_partitions
from services.eligibility.bulk.evaluation import evaluate
from services.eligibility.bulk.roster import export_facts
from services.eligibility.policy.parameters import shipped
from tests.conftest import Databases

PERSONS = 60


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    opened = Database(await databases.fresh("eligibility"), service="eligibility", pool_size=3)
    async with opened.transaction() as tx:
        await ensure_month_partitions(tx, business_today())
    yield opened
    await opened.close()


async def test_a_county_judged_anew_is_what_events_have_stored(database: Database, tmp_path: Path) -> None:
    await take(database, approvals(PERSONS))
    await take(database, facts(PERSONS))
    assert await export_facts(database, "5301", tmp_path / "facts") == PERSONS
    evaluate(tmp_path / "facts", tmp_path / "schedules", shipped())
    judged: dict[tuple[str, str], list[Any]] = {}
    for row in ds.dataset(tmp_path / "schedules").to_table().to_pylist():
        months = (_text(row["from_month"]), _text(row["to_month"]), row["amount_fen"], row["area"], row["level"])
        judged.setdefault((row["person_id"], row["subsidy"]), []).append(months)
    assert judged == await _stored(database)
    assert len(judged) > PERSONS


async def test_nobody_of_another_prefecture_is_exported(database: Database, tmp_path: Path) -> None:
    await take(database, approvals(3))
    assert await export_facts(database, "5303", tmp_path / "facts") == 0


async def _stored(database: Database) -> dict[tuple[str, str], list[Any]]:
    async with database.transaction() as tx:
        found = await tx.connection.execute(
            text(
                "SELECT DISTINCT ON (person_id, subsidy) person_id, subsidy, schedule FROM entitlements"
                " ORDER BY person_id, subsidy, version DESC"
            )
        )
        return {
            (row.person_id, row.subsidy): [
                (entry["from"], entry["to"], entry["amount_fen"], entry["area"], entry["level"])
                for entry in row.schedule
            ]
            for row in found
            if row.schedule
        }


def _text(month: int | None) -> str | None:
    return None if month is None else f"{month // 100}-{month % 100:02}"

"""The papers of verification and supervision, as officials open them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from libs.common.settings import Settings
from services.matching.main import build
from tests.conftest import Databases, Issuer, running
from tests.integration.test_matching import COUNTY, ISSUE, TOWNSHIP, Matching, deaths_csv


@pytest.fixture
async def matching(
    databases: Databases, issuer: Issuer, make_settings: Callable[..., Settings], tmp_path: Path
) -> AsyncIterator[Matching]:
    settings = make_settings(await databases.fresh("matching"), data_dir=tmp_path)
    async with running(build(settings), settings) as started:
        yield Matching(started, issuer)


async def sheets(
    matching: Matching, path: str, role: str = "civil_affairs", **query: Any
) -> dict[str, list[list[Any]]]:
    answer = await matching.call("GET", path, role, params={"area": COUNTY, **query})
    assert answer.status_code == 200, answer.text
    book = CalamineWorkbook.from_filelike(io.BytesIO(answer.content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


async def test_a_task_sheet_names_the_person_to_whom_somebody_goes(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("=张三", person.id_number, "2026-03-05")))
    await matching.compare()
    (sheet,) = (await sheets(matching, "/v1/papers/task-sheets.xlsx")).values()
    assert sheet[0][0] == "核查任务单"
    assert any("五华区" in str(cell) for cell in sheet[1])
    row = dict(zip(sheet[2], sheet[3], strict=True))
    assert (row["姓名"], row["线索"], row["所涉日期"]) == ("=张三", "疑似死亡", "2026-03-05")
    assert person.id_number not in str(sheet)
    auditor = await matching.call("GET", "/v1/papers/task-sheets.xlsx", "auditor", params={"area": COUNTY})
    assert auditor.status_code == 403, "whole names are for those who go there"
    log = (await matching.call("GET", "/v1/audit-log", "auditor")).json()["items"]
    assert "read task sheets" in {entry["action"] for entry in log}


async def test_certificates_that_expire_soon_are_listed_by_month_and_by_half_year(matching: Matching) -> None:
    by = {"role": "cdpf", "area": TOWNSHIP}
    days = {"2026-05-20": 1, "2026-09-30": 6, "2026-12-31": None}
    for expires_on in days:
        person = await matching.recipient()
        await matching.push(
            "certificate.issued", person.id_number, "2016-06-01", **{**ISSUE, **by, "expires_on": expires_on}
        )
    query = {"area": COUNTY, "as_of": "2026-05-01"}
    items = (await matching.call("GET", "/v1/papers/expiring-certificates", params=query)).json()["items"]
    assert [(item["expires_on"], item["within_months"]) for item in items] == [("2026-05-20", 1), ("2026-09-30", 6)]
    book = await sheets(matching, "/v1/papers/expiring-certificates.xlsx", as_of="2026-05-01")
    assert [len(rows) - 3 for rows in book.values()] == [1, 2]


async def test_what_is_overdue_is_listed_ordered_and_closed_on_paper(matching: Matching) -> None:
    pushed = await matching.push(
        "person.missing", matching.new_id_number(), "2026-03-05", role="township", area=TOWNSHIP
    )
    (finding,) = await matching.findings()
    overdue = date.fromisoformat(finding["due_on"]) + timedelta(days=1)
    await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": overdue.isoformat()})
    book = await sheets(matching, "/v1/papers/supervision.xlsx")
    assert [len(rows) - 3 for rows in book.values()] == [1, 1, 1]
    await matching.verify(pushed.json()["finding_id"], "dismissed")
    closed_on = overdue + timedelta(days=1)
    await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": closed_on.isoformat()})
    book = await sheets(matching, "/v1/papers/supervision.xlsx")
    assert {name: len(rows) - 3 for name, rows in book.items()} == {"问题清单": 0, "督办单": 0, "整改台账": 1}
    assert book["整改台账"][3][-1] == closed_on.isoformat()

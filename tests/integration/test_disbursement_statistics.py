"""The monthly table, by county and level, and its upload to the national system."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
import python_calamine

from services.disbursement.national import NotReceived, Receipt
from tests.conftest import Databases, Issuer
from tests.integration.disbursement import World, world


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


class Receiver:
    """A national system that keeps what it is given, unless it is away."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.is_away = False

    async def upload(self, digest: str, table: dict[str, Any]) -> Receipt:
        if self.is_away:
            raise NotReceived("it is away")
        self.tables[digest] = table
        return Receipt(receipt_no=f"R-{digest[:8]}")


async def paid_county(here: World) -> str:
    area = here.county()
    await here.funded(area)
    old, new, gone = [await here.person(area) for _ in range(3)]
    await old.entitled("2026-02")
    await new.entitled("2026-03")
    await gone.entitled("2026-01", "2026-02", stopped_because="economic")
    await here.heard()
    await here.paid(area, "2026-03")
    return area


async def test_the_table_tells_who_was_paid_who_is_new_and_who_was_stopped_and_why(here: World) -> None:
    area = await paid_county(here)
    table = await here.get(f"/v1/statistics?area={area}&period=2026-03")
    [row] = table["items"]
    assert (row["persons_paid"], row["months_paid"], row["paid_fen"], row["arrears_fen"]) == (3, 5, 50_000, 30_000)
    assert (row["persons_new"], row["persons_stopped"], row["recovered_fen"]) == (1, 1, 0)
    assert table["stopped_by_cause"] == [{"area": area, "subsidy": "living", "cause": "economic", "persons": 1}]
    [by_level] = (await here.get(f"/v1/statistics?area={area[:4]}&period=2026-03&by=prefecture&detailed=true"))["items"]
    assert (by_level["area"], by_level["level"], by_level["paid_fen"]) == (area[:4], 1, 50_000)


async def test_the_table_as_excel_has_title_unit_sum_and_who_made_it(here: World) -> None:
    area = await paid_county(here)
    answer = await here.call("GET", f"/v1/statistics.xlsx?area={area}&period=2026-03")
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(answer.content))
    cells = book.get_sheet_by_name("月度统计表").to_python()
    assert cells[0][0] == "残疾人两项补贴月度统计表"
    assert "统计月份：2026-03" in str(cells[1][0])
    heading = cells[2].index("发放金额（元）")
    assert (cells[3][heading], cells[4][0], cells[4][heading]) == (500.0, "合计", 500.0)
    assert book.get_sheet_by_name("停发原因").to_python()[3][2:] == ["economic", 1.0]


async def test_a_table_is_uploaded_once_with_its_receipt_and_again_when_it_changed(here: World) -> None:
    area = await paid_county(here)
    none = await here.call("POST", "/v1/statistics-uploads", "civil_affairs", area=area, period="2026-03")
    assert none.status_code == 409
    receiver = here.app.state.national = Receiver()
    receiver.is_away = True
    away = await here.call("POST", "/v1/statistics-uploads", "civil_affairs", area=area, period="2026-03")
    assert away.status_code == 503
    receiver.is_away = False
    first = await here.post("/v1/statistics-uploads", "civil_affairs", area=area, period="2026-03")
    again = await here.post("/v1/statistics-uploads", "civil_affairs", area=area, period="2026-03")
    assert (again["upload_id"], again["receipt_no"]) == (first["upload_id"], first["receipt_no"])
    assert receiver.tables[first["digest"]]["total"]["paid_fen"] == 50_000
    assert [u["period"] for u in (await here.get("/v1/statistics-uploads"))["items"]] == ["2026-03"]
    here.app.state.national = None


async def test_an_auditor_takes_the_data_of_a_month_with_a_reason_and_without_names(here: World) -> None:
    area = await paid_county(here)
    path = f"/v1/audit-extract.zip?area={area}&period=2026-03"
    assert (await here.call("GET", path)).status_code == 422
    assert (await here.call("GET", f"{path}&reason=x", "finance")).status_code == 403
    answer = await here.call("GET", f"{path}&reason=年度审计")
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    lines = packed.read("payments.csv").decode("utf-8-sig").splitlines()
    assert len(lines) == 3
    assert {line.split(",")[9] for line in lines[1:]} == {"settled"}
    assert packed.read("paid_in_two_areas.csv").decode("utf-8-sig").count("\n") == 1
    assert "shared_accounts.csv" in packed.namelist()

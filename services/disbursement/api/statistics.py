"""The monthly statistics table (月度统计表; notice 4.2) as JSON, CSV and Excel."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import xlsxwriter
from fastapi import Response

from libs.common.areas import Area, name_of
from libs.common.auth import Official, Principal
from libs.common.database import Transaction, rows
from libs.common.money import yuan_text
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDY_NAMES
from libs.common.web import Tx, router
from services.disbursement.api.periods import InPeriod
from services.disbursement.queries import query

api = router(prefix="/v1", tags=["statistics"])

_COUNTY_DIGITS = 6
_HEADINGS = {
    "area": "行政区划代码",
    "name": "名称",
    "subsidy": "补贴项目",
    "persons_paid": "发放人数",
    "months_paid": "发放人月数",
    "paid_fen": "发放金额（元）",
    "arrears_fen": "其中补发（元）",
    "in_flight_fen": "在途金额（元）",
    "failed": "发放失败笔数",
    "returned": "退票笔数",
    "came_back_fen": "失败及退票金额（元）",
    "held": "暂缓人月数",
    "unpayable": "暂不能发放人月数",
    "dropped": "剔除人月数",
    "not_paid_fen": "未发放金额（元）",
}


@api.get("/statistics")
async def read_statistics(area: Area, period: InPeriod, tx: Tx, reader: Official) -> dict[str, Any]:
    """Per county and subsidy: persons and months paid, fen, arrears among it, failed, returned, held, unpayable."""
    found = await _table(tx, reader, area, period)
    total = {name: sum(row[name] for row in found) for name in _HEADINGS if name not in ("area", "name", "subsidy")}
    return {"area": area, "period": str(period), "items": found, "total": total}


@api.get("/statistics.csv")
async def download_csv(area: Area, period: InPeriod, tx: Tx, reader: Official) -> Response:
    """UTF-8 with a mark, as spreadsheets in Chinese expect."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEADINGS.values())
    writer.writerows(_paper(await _table(tx, reader, area, period)))
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="statistics-{area}-{period}.csv"'},
    )


@api.get("/statistics.xlsx")
async def download_xlsx(area: Area, period: InPeriod, tx: Tx, reader: Official) -> Response:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet("月度统计表")
        sheet.write(0, 0, f"残疾人两项补贴月度统计表  {area}  {period}")
        sheet.write_row(1, 0, _HEADINGS.values())
        for number, row in enumerate(_paper(await _table(tx, reader, area, period)), start=2):
            sheet.write_row(number, 0, row)
    return Response(
        file.getvalue(),
        media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        headers={"Content-Disposition": f'attachment; filename="statistics-{area}-{period}.xlsx"'},
    )


async def _table(tx: Transaction, reader: Principal, area: str, period: Period) -> Sequence[dict[str, Any]]:
    reader.require_area(area)
    found = await tx.connection.execute(
        query("statistics"), {"area": area, "period": period.first_day, "digits": _COUNTY_DIGITS}
    )
    return [{"name": name_of(row["area"], period.last_day), **row} for row in rows(found)]


def _paper(found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Rows as the paper writes them: names for codes, yuan for fen."""
    return [[_written(name, row[name]) for name in _HEADINGS] for row in found]


def _written(name: str, value: Any) -> str:
    if name == "subsidy":
        return SUBSIDY_NAMES[value]
    return yuan_text(value) if name.endswith("_fen") else str(value)

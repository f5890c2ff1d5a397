"""The monthly statistics table (月度统计表; notice 4.2) as JSON, CSV and Excel."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query, Response

from libs.common.areas import Area, name_of
from libs.common.auth import Official
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.money import yuan_text
from libs.common.papers.lists import ListPaper, Titled, answer_with_workbook
from libs.common.period import Period
from libs.common.vocabulary import CATEGORY_NAMES, LEVEL_NAMES, SUBSIDY_NAMES
from libs.common.web import Tx, router
from services.disbursement.api.periods import InPeriod
from services.disbursement.queries import query
from services.disbursement.words import cause_text

api = router(prefix="/v1", tags=["statistics"])

By = Annotated[
    Literal["county", "prefecture", "province"], Query(description="one row per area of this level and subsidy")
]
_DIGITS: dict[str, int] = {"province": 2, "prefecture": 4, "county": 6}
_KEYS = ("area", "name", "subsidy", "category", "level")
_HEADINGS = {
    "area": "行政区划代码",
    "name": "地区",
    "subsidy": "补贴项目",
    "category": "残疾类别",
    "level": "残疾等级",
    "persons_paid": "发放人数",
    "months_paid": "发放人月数",
    "paid_fen": "发放金额（元）",
    "arrears_fen": "其中补发（元）",
    "offset_fen": "其中抵扣（元）",
    "in_flight_fen": "在途金额（元）",
    "failed": "发放失败笔数",
    "returned": "退票笔数",
    "came_back_fen": "失败及退票金额（元）",
    "held": "暂缓人月数",
    "unpayable": "暂不能发放人月数",
    "dropped": "剔除人月数",
    "not_paid_fen": "未发放金额（元）",
    "persons_new": "本月新增人数",
    "persons_stopped": "本月停发人数",
    "recovered_fen": "本月追回（元）",
}


async def monthly_table(
    tx: Transaction, area: str, period: Period, *, by: str = "county", detailed: bool = False
) -> dict[str, Any]:
    """The table of an area and period; `detailed` tells each subsidy by category and level. Sums in fen. Persons of one
    row are counted once; those of the total as often as they are in its rows."""
    scope = {"area": area, "period": period.first_day, "digits": _DIGITS[by]}
    found = await tx.connection.execute(query("statistics"), scope | {"detailed": detailed})
    items = [{"name": name_of(row["area"], period.last_day), **row} for row in rows(found)]
    total = {name: sum(row[name] for row in items) for name in _HEADINGS if name not in _KEYS}
    stopped = rows(await tx.connection.execute(query("stopped"), scope))
    return {"area": area, "period": str(period), "items": items, "total": total, "stopped_by_cause": list(stopped)}


@api.get("/statistics")
async def read_statistics(
    area: Area, period: InPeriod, tx: Tx, reader: Official, by: By = "county", detailed: bool = False
) -> dict[str, Any]:
    """Per area and subsidy (and category and level): persons and months paid, fen, arrears among it, failed, returned,
    held, unpayable, new, stopped (by cause), recovered."""
    reader.require_area(area)
    return await monthly_table(tx, area, period, by=by, detailed=detailed)


@api.get("/statistics.csv")
async def download_csv(
    area: Area, period: InPeriod, tx: Tx, reader: Official, by: By = "county", detailed: bool = False
) -> Response:
    """UTF-8 with a mark, as spreadsheets in Chinese expect."""
    reader.require_area(area)
    table = await monthly_table(tx, area, period, by=by, detailed=detailed)
    headings = _headings(detailed)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(headings.values())
    writer.writerows([str(_written(name, row[name], yuan_text)) for name in headings] for row in table["items"])
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="statistics-{area}-{period}.csv"'},
    )


@api.get("/statistics.xlsx")
async def download_xlsx(
    area: Area, period: InPeriod, tx: Tx, reader: Official, by: By = "county", detailed: bool = False
) -> Response:
    """月度统计表 with its title, area, period, unit, sum, and who made it; a second sheet tells the stops by cause."""
    reader.require_area(area)
    table = await monthly_table(tx, area, period, by=by, detailed=detailed)
    today = business_today()
    monthly = monthly_paper(table, made_by=reader.sub, on=today, detailed=detailed)
    return answer_with_workbook([monthly, _stops_paper(table, made_by=reader.sub, on=today)])


def monthly_paper(table: dict[str, Any], *, made_by: str, on: date, detailed: bool) -> ListPaper:
    """月度统计表, with the sum of its rows."""
    headings = _headings(detailed)
    total = [_written(name, table["total"].get(name), int) for name in headings]
    return ListPaper(
        name="残疾人两项补贴月度统计表",
        number=f"YB-{table['area']}-{table['period']}",
        area=table["area"],
        office="民政局",
        dated=on,
        made_by=made_by,
        made_on=on,
        columns=[Titled(title, money=name.endswith("_fen")) for name, title in headings.items()],
        rows=[[_written(name, row[name], int) for name in headings] for row in table["items"]],
        about=f"统计月份：{table['period']}　单位：元、人、笔",
        total=["合计", *total[1:]],
        signed_by=("制表", "负责人"),
    )


def _stops_paper(table: dict[str, Any], *, made_by: str, on: date) -> ListPaper:
    titles = ("行政区划代码", "补贴项目", "停发原因", "人数")
    return ListPaper(
        name="停发原因",
        number=f"YB-{table['area']}-{table['period']}",
        area=table["area"],
        office="民政局",
        dated=on,
        made_by=made_by,
        made_on=on,
        columns=[Titled(title) for title in titles],
        rows=[
            (row["area"], SUBSIDY_NAMES[row["subsidy"]], cause_text(row["cause"]), row["persons"])
            for row in table["stopped_by_cause"]
        ],
    )


def _headings(detailed: bool) -> dict[str, str]:
    return {name: text for name, text in _HEADINGS.items() if detailed or name not in ("category", "level")}


def _written(name: str, value: Any, money: Any) -> Any:
    """As the paper writes it: names for codes, yuan for fen."""
    if value is None:
        return ""
    names: dict[str, Any] = {"subsidy": SUBSIDY_NAMES, "category": CATEGORY_NAMES, "level": LEVEL_NAMES}
    if name in names:
        return names[name].get(value, value)
    return money(value) if name.endswith("_fen") else value

"""The papers of an area and a month: 花名册（台账）, 结余及缴回表, 年报; its cases as 问题清单, 督办单, 整改台账."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from libs.common.areas import name_of
from libs.common.auth import ROLE_NAMES
from libs.common.money import yuan_text
from libs.common.papers.lists import ListPaper, Titled
from libs.common.period import SHANGHAI, Period
from libs.common.vocabulary import CATEGORY_NAMES, LEVEL_NAMES, SUBSIDY_NAMES
from services.disbursement.case_kinds import kind_of
from services.disbursement.words import GRANTED_BY, HOLDERS, cause_text

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """For which area and month a paper is made, by whom, and when."""

    area: str
    period: Period
    made_by: str
    on: date

    def paper(self, kind: str, name: str, office: str, columns: Sequence[Titled], rows: Any, **more: Any) -> ListPaper:
        return ListPaper(
            name=f"残疾人两项补贴{name}",
            number=f"{kind}-{self.area}-{self.period}",
            area=self.area,
            office=office,
            dated=self.on,
            made_by=self.made_by,
            made_on=self.on,
            columns=columns,
            rows=list(rows),
            **{"about": f"月份：{self.period}　单位：元", **more},
        )


def ledger(made: Made, persons: Sequence[Row]) -> ListPaper:
    """花名册（台账）: who is or was entitled this year: certificate, level, start, stop and cause, payee, amounts."""
    columns = (
        Titled("序号"),
        Titled("姓名"),
        Titled("残疾人证号"),
        Titled("乡镇（街道）"),
        Titled("补贴项目"),
        Titled("残疾类别"),
        Titled("等级"),
        Titled("月标准", money=True),
        Titled("起发月份"),
        Titled("止发月份"),
        Titled("停发原因"),
        Titled("收款人"),
        Titled("账户类型"),
        Titled("账号后四位"),
        Titled("本年已发", money=True),
    )
    rows = [
        (
            number,
            item["name"],
            item["certificate_number"],
            name_of(item["area"], made.on),
            SUBSIDY_NAMES[item["subsidy"]],
            CATEGORY_NAMES.get(item["category"], ""),
            LEVEL_NAMES.get(item["level"], ""),
            item["amount_fen"],
            f"{item['first']:%Y-%m}",
            f"{item['last']:%Y-%m}" if item["last"] else "",
            cause_text(item["stopped_because"]) if item["last"] else "",
            item["holder_name"],
            HOLDERS.get(item["holder"], ""),
            item["number_last4"],
            item["paid_fen"],
        )
        for number, item in enumerate(persons, start=1)
    ]
    return made.paper("TZ", "花名册（台账）", "民政局", columns, rows, signed_by=("制表", "复核"))


def balances(made: Made, books: Sequence[Row], grants: Sequence[Row]) -> ListPaper:
    """结余及缴回表: per book what was granted, paid, sent back by banks, paid back to the treasury, and is left."""
    columns = (
        Titled("资金所属地区"),
        Titled("补贴项目"),
        Titled("预算年度"),
        Titled("各级下达"),
        Titled("下达合计", money=True),
        Titled("期初转入", money=True),
        Titled("待发", money=True),
        Titled("在途", money=True),
        Titled("已发", money=True),
        Titled("机构代管", money=True),
        Titled("银行退回", money=True),
        Titled("应追回", money=True),
        Titled("缴回国库", money=True),
        Titled("核销", money=True),
        Titled("结余", money=True),
    )
    rows = [
        (
            book["area"],
            SUBSIDY_NAMES[book["subsidy"]],
            book["year"],
            _granted(grants, book),
            *(
                book[name]
                for name in (
                    "appropriated_fen",
                    "brought_forward_fen",
                    "committed_fen",
                    "clearing_fen",
                    "paid_fen",
                    "institution_funds_fen",
                    "came_back_fen",
                    "receivable_fen",
                    "refunded_fen",
                    "written_off_fen",
                    "available_fen",
                )
            ),
        )
        for book in books
    ]
    total = ("合计", "", "", "", *(sum(row[place] for row in rows) for place in range(4, 15)))
    notes = (
        "下达 + 期初转入 = 待发 + 在途 + 已发 + 机构代管 + 应追回 + 缴回国库 + 核销 + 结余",
        "银行退回的款项回到结余，可重新发放",
    )
    return made.paper(
        "JY",
        "资金结余及缴回表",
        "财政局",
        columns,
        rows,
        total=total,
        notes=notes,
        signed_by=("制表", "复核", "负责人"),
    )


def _granted(grants: Sequence[Row], book: Row) -> str:
    of_book = [
        grant
        for grant in grants
        if (grant["area"], grant["subsidy"], grant["year"]) == (book["area"], book["subsidy"], book["year"])
    ]
    return "；".join(f"{GRANTED_BY[grant['granted_by']]} {yuan_text(grant['fen'])}" for grant in of_book)


def yearly(made: Made, months: Sequence[tuple[Period, Mapping[str, Any]]]) -> ListPaper:
    """年报: month by month what the monthly tables came to."""
    columns = (
        Titled("月份"),
        Titled("发放人次"),
        Titled("发放人月数"),
        Titled("发放金额", money=True),
        Titled("其中补发", money=True),
        Titled("新增人次"),
        Titled("停发人次"),
        Titled("失败及退票", money=True),
        Titled("未发放", money=True),
        Titled("追回", money=True),
    )
    names = (
        "persons_paid",
        "months_paid",
        "paid_fen",
        "arrears_fen",
        "persons_new",
        "persons_stopped",
        "came_back_fen",
        "not_paid_fen",
        "recovered_fen",
    )
    rows = [(str(period), *(total[name] for name in names)) for period, total in months]
    sums = ("合计", *(sum(row[place] for row in rows) for place in range(1, 10)))
    year = f"年度：{made.period.year}　单位：元"
    return made.paper("NB", "年报表", "民政局", columns, rows, total=sums, about=year, signed_by=("制表", "负责人"))


_CASE = (
    Titled("序号"),
    Titled("问题"),
    Titled("地区"),
    Titled("月份"),
    Titled("发现日期"),
    Titled("责任单位（人）"),
    Titled("整改期限"),
    Titled("整改要求"),
)


def problems(made: Made, cases: Sequence[Row]) -> ListPaper:
    """问题清单: what nobody has resolved yet."""
    rows = [_case(number, case) for number, case in enumerate(cases, start=1)]
    return made.paper("WT", "问题清单", "民政局", _CASE, rows, signed_by=("制表", "负责人"))


def rectification(made: Made, cases: Sequence[Row]) -> ListPaper:
    """整改台账: every problem with what came of it (销号)."""
    columns = (*_CASE, Titled("整改结果"), Titled("销号人"), Titled("销号日期"))
    rows = [
        (
            *_case(number, case),
            case["resolution"],
            "对账" if case["resolved_by"] == "reconciliation" else case["resolved_by"],
            _day(case["resolved_at"]),
        )
        for number, case in enumerate(cases, start=1)
    ]
    return made.paper("ZG", "整改台账", "民政局", columns, rows, signed_by=("制表", "负责人"))


def supervision(made: Made, cases: Sequence[Row]) -> ListPaper:
    """督办单: what an office above demands to be put right, by whom and when."""
    columns = (*_CASE, Titled("督办人"), Titled("督办日期"))
    rows = [
        (*_case(number, case), case["assigned_by"], _day(case["assigned_at"]))
        for number, case in enumerate(cases, start=1)
    ]
    return made.paper("DB", "督办单", "民政部门", columns, rows, signed_by=("签发", "承办单位签收"))


def _case(number: int, case: Row) -> tuple[Any, ...]:
    kind = kind_of(case["kind"])
    return (
        number,
        kind.name,
        case["area"],
        str(case["period"] or ""),
        _day(case["opened_at"]),
        case["assigned_to"] or ROLE_NAMES[kind.owner],
        case["due_on"],
        case["demand"] or kind.remedy,
    )


def _day(at: Any) -> str:
    return at.astimezone(SHANGHAI).date().isoformat() if at else ""

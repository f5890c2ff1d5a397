"""The papers of verification and supervision, from what `handlers/papers.py` read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from libs.common.areas import full_name_of, level_of, name_of
from libs.common.papers.lists import ListPaper, Titled
from libs.common.papers.printing import Facts, Heading, Paper, Paragraph, Signatures, day_text
from libs.common.period import Period
from libs.common.vocabulary import CATEGORY_NAMES, SUBSIDY_NAMES, Subsidy
from services.matching.sources import SOURCES
from services.matching.vocabulary import ABOUT_NAMES, CAUSE_NAMES, CHANGE_NAMES, KIND_NAMES, METHOD_NAMES

Rows = Sequence[Mapping[str, Any]]
Names = Mapping[str, str]
"""Person → name."""


@dataclass(frozen=True, slots=True)
class Maker:
    """For which area papers are made, by whom and when."""

    area: str
    sub: str
    on: date

    def place(self, code: str | None) -> str:
        return name_of(code, self.on) if code else ""

    def office(self, body: str = "民政部门") -> str:
        name = full_name_of(self.area, self.on)
        return name if level_of(self.area) == "township" else name + body

    def list(
        self, name: str, series: str, columns: Iterable[str | Titled], rows: Sequence[Sequence[Any]], **more: Any
    ) -> ListPaper:
        """A list whose number tells the paper, the area and the day."""
        return ListPaper(
            name=name,
            number=f"{series}-{self.area}-{self.on:%Y%m%d}",
            area=self.area,
            office=more.pop("office", self.office()),
            dated=self.on,
            made_by=self.sub,
            made_on=self.on,
            columns=[Titled(column) if isinstance(column, str) else column for column in columns],
            rows=rows,
            **more,
        )


def task_list(tasks: Rows, maker: Maker) -> ListPaper:
    """核查任务单, all of an area in one list, with columns to fill in."""
    columns = (
        "任务编号", "姓名", "人员标识", "线索", "所涉日期", "来源", "所在地", "承办单位", "核实期限", "核实方式",
        "照片", "核实结果", "实际日期", "核实人签字", "见证人签字",
    )  # fmt: skip
    rows = [
        (
            _mark(task["finding_id"]), task["name"], _person(task), _kind(task), task["alleged_on"], _sources(task),
            maker.place(task["area"]), maker.place(task["assigned_to"]), task["due_on"], *[None] * 6,
        )
        for task in tasks
    ]  # fmt: skip
    return maker.list("核查任务单", "HC", columns, rows)


def task_sheet(task: Mapping[str, Any], finding: Mapping[str, Any], files: Rows, maker: Maker) -> Paper:
    """核查任务单, one finding to take along: the lead, the person, and what was found out, or room to write it."""
    verified = finding["status"] != "open"
    results = {"confirmed": "属实", "dismissed": "不属实"}
    found_out = (
        ("核实方式", _chosen(METHOD_NAMES, finding["method"])),
        ("核实结果", _chosen(results, finding["status"])),
        ("实际发生日期", _day(finding["effective_on"]) if verified else "　　　　年　　月　　日"),
        ("情况说明", finding["note"] or ""),
        ("照片", "、".join(_file(file) for file in files) or "（粘贴，或上传后附）"),
        ("核实人", finding["verified_by"] or ""),
    )
    lead = (
        ("姓名", task["name"] or "（来源未提供）"),
        ("人员标识", task["person_id"]),
        ("所在地", full_name_of(task["area"], maker.on)),
        ("线索", _kind(task)),
        ("线索来源", _sources(task)),
        ("所涉日期", _day(task["alleged_on"])),
        ("承办单位", full_name_of(task["assigned_to"] or task["area"], maker.on)),
        ("下发日期", _day(task["opened_on"])),
        ("核实期限", _day(task["due_on"])),
    )
    return Paper(
        title="核查任务单",
        number=f"HC-{_mark(task['finding_id'])}",
        area_name=full_name_of(task["area"], maker.on),
        office=full_name_of(task["area"][:6], maker.on) + "民政部门",
        dated=task["opened_on"],
        made_by=maker.sub,
        made_on=maker.on,
        parts=[
            Paragraph("比对结果只是线索。核实之前，所涉月份的补贴暂缓发放；属实的自实际日期起停发，不属实的立即补发。"),
            Heading("线索"),
            Facts(lead),
            Heading("核实情况"),
            Facts(found_out),
            Signatures(("核实人", "见证人")),
        ],
    )


def expiring_list(found: Rows, names: Names, maker: Maker) -> ListPaper:
    """到期预警表."""
    columns = ("预警", "姓名", "人员标识", "所在地", "补贴项目", "残疾类别", "残疾等级", "有效期至")
    rows = [
        (
            "一个月内" if row["within_months"] == 1 else "六个月内", names.get(row["person_id"]), _person(row),
            maker.place(row["area"]), _subsidies(row["subsidies"]), CATEGORY_NAMES.get(row["category"]), row["level"],
            row["expires_on"],
        )
        for row in found
    ]  # fmt: skip
    soon = sum(row["within_months"] == 1 for row in found)
    about = f"一个月内到期 {soon} 人，六个月内到期 {len(found)} 人"
    return maker.list("残疾人证到期预警表", "YJ", columns, rows, about=about)


def monthly_changes_list(found: Rows, names: Names, townships: Rows, period: Period, maker: Maker) -> ListPaper:
    """月度变动表, with who has signed for it: changes, or none (无变化)."""
    columns = (
        "变动", "姓名", "人员标识", "所在地", "补贴项目", "原因", "原等级", "现等级",
        Titled("原标准（元）", money=True), Titled("现标准（元）", money=True),
    )  # fmt: skip
    rows = [
        (
            CHANGE_NAMES[row["change"]], names.get(row["person_id"]), _person(row), _moved(row, maker),
            SUBSIDY_NAMES[row["subsidy"]], CAUSE_NAMES.get(row["cause"], row["cause"]), row["level_before"],
            row["level"], row["amount_fen_before"], row["amount_fen"],
        )
        for row in found
    ]  # fmt: skip
    counts = "，".join(
        f"{name} {sum(row['change'] == change for row in found)} 人次" for change, name in CHANGE_NAMES.items()
    )
    return maker.list(
        "月度变动表",
        f"BD-{period}",
        columns,
        rows,
        about=f"{period} 较 {period.previous}：{counts if found else '无变化'}",
        facts=[(maker.place(township["area"]), _signed(township)) for township in townships],
        signed_by=("经办人", "负责人"),
    )


def certificate_changes_list(found: Rows, names: Names, period: Period, maker: Maker) -> ListPaper:
    """换证、迁移、冻结清单."""
    columns = (
        "变更", "姓名", "人员标识", "所在地", "残疾类别", "残疾等级", "有效期至", "变更日期", "获知日期", "原因",
    )  # fmt: skip
    rows = [
        (
            "残疾人证迁移中" if row["in_transit"] else _kind(row), names.get(row["person_id"]), _person(row),
            maker.place(row["area"]), CATEGORY_NAMES.get(row["category"]), row["level"], row["expires_on"],
            row["occurred_on"], row["known_on"], row["cause"],
        )
        for row in found
    ]  # fmt: skip
    return maker.list(
        "残疾人证换证、迁移、冻结清单",
        f"ZB-{period}",
        columns,
        rows,
        about=str(period),
        office=maker.office("残疾人联合会"),
        signed_by=("经办人", "负责人"),
    )


def problem_list(raised: Rows, maker: Maker) -> ListPaper:
    """问题清单: what is overdue and not done."""
    columns = ("编号", "问题", "责任地区", "期限", "发现日期")
    rows = [
        (_mark(row["escalation_id"]), row["says"], maker.place(row["area"]), row["due_on"], row["raised_on"])
        for row in raised
        if row["closed_on"] is None
    ]
    return maker.list("问题清单", "WT", columns, rows)


def supervision_list(raised: Rows, maker: Maker) -> ListPaper:
    """督办单: who sees to what is overdue, with room for what is ordered."""
    columns = ("编号", "督办单位", "责任地区", "问题", "原期限", "督办日期", "办理意见", "签字")
    rows = [
        (
            _mark(row["escalation_id"]), maker.place(row["raised_to"]), maker.place(row["area"]), row["says"],
            row["due_on"], row["raised_on"], None, None,
        )
        for row in raised
        if row["closed_on"] is None
    ]  # fmt: skip
    return maker.list("督办单", "DB", columns, rows, signed_by=("签发人",))


def rectification_list(raised: Rows, maker: Maker) -> ListPaper:
    """整改台账: everything that was raised, with the day on which it was closed (销号)."""
    columns = ("编号", "问题", "责任地区", "督办单位", "期限", "督办日期", "销号日期")
    rows = [
        (
            _mark(row["escalation_id"]), row["says"], maker.place(row["area"]), maker.place(row["raised_to"]),
            row["due_on"], row["raised_on"], row["closed_on"],
        )
        for row in raised
    ]  # fmt: skip
    return maker.list("整改台账", "ZG", columns, rows)


def _mark(identity: UUID) -> str:
    """The end of an id, which is random: enough to tell two apart on paper."""
    return str(identity)[-12:]


def _person(row: Mapping[str, Any]) -> str:
    """The head of a person's id, as the console shows it."""
    return f"{row['person_id'][:11]}…"


def _kind(row: Mapping[str, Any]) -> str:
    kind, about = row["kind"], row.get("about")
    name = KIND_NAMES.get(kind, kind)
    return f"{name}（{ABOUT_NAMES.get(about, about)}）" if about else name


def _sources(task: Mapping[str, Any]) -> str:
    return "、".join(SOURCES[name].title if name in SOURCES else name for name in task["sources"])


def _subsidies(subsidies: Iterable[Subsidy]) -> str:
    return "、".join(SUBSIDY_NAMES[subsidy] for subsidy in subsidies)


def _file(file: Mapping[str, Any]) -> str:
    return f"{file['media_type']}（SM3 {file['digest'][:16]}…）"


def _signed(township: Mapping[str, Any]) -> str:
    if not township["done"]:
        return "未报送"
    return f"{'有变化' if township['changes'] else '无变化'}，{township['signed_by']} {township['signed_at']:%Y-%m-%d}"


def _moved(row: Mapping[str, Any], maker: Maker) -> str:
    before, now = row["area_before"], row["area"]
    if before is None or before == now:
        return maker.place(now)
    return f"{maker.place(before)} → {maker.place(now)}"


def _chosen(options: Mapping[str, str], chosen: str | None) -> str:
    return "　".join(("☑" if word == chosen else "□") + name for word, name in options.items())


def _day(day: date | None) -> str:
    return day_text(day) if day else ""

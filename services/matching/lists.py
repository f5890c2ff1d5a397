"""The papers of verification and supervision, from what `handlers/papers.py` read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from libs.common.areas import full_name_of, level_of, name_of
from libs.common.money import yuan_text
from libs.common.papers.printing import Facts, Heading, Paper, Paragraph, Signatures, day_text
from libs.common.period import Period
from libs.common.vocabulary import CATEGORY_NAMES, SUBSIDY_NAMES, Subsidy
from services.matching.sheets import Lists, Sheet
from services.matching.sources import SOURCES
from services.matching.vocabulary import CAUSE_NAMES, CHANGE_NAMES, KIND_NAMES, METHOD_NAMES

Rows = Sequence[Mapping[str, Any]]
Names = Mapping[str, str]
"""Person → name."""


@dataclass(frozen=True, slots=True)
class Maker:
    """For which area a paper is made, by whom and when."""

    area: str
    sub: str
    on: date

    def lists(self, title: str, series: str, sheets: Sequence[Sheet], **more: Any) -> Lists:
        """Their number tells the paper, the area and the day."""
        return Lists(title, f"{series}-{self.area}-{self.on:%Y%m%d}", self.area, self.on, self.sub, sheets, **more)

    def place(self, code: str | None) -> str:
        return name_of(code, self.on) if code else ""


def task_list(tasks: Rows, maker: Maker) -> Lists:
    """核查任务单, all of an area in one list, with columns to fill in."""
    titles = (
        "任务编号", "姓名", "人员标识", "线索", "所涉日期", "来源", "所在地", "承办单位", "核实期限", "核实方式",
        "照片", "核实结果", "实际日期", "核实人签字", "见证人签字",
    )  # fmt: skip
    listed = [
        (
            task["finding_id"], task["name"], task["person_id"], _kind(task), task["alleged_on"], _sources(task),
            maker.place(task["area"]), maker.place(task["assigned_to"]), task["due_on"], *[None] * 6,
        )
        for task in tasks
    ]  # fmt: skip
    return maker.lists("核查任务单", "HC", [Sheet("核查任务单", titles, listed)])


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
        number=f"HC-{str(task['finding_id'])[-12:]}",
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


def expiring_list(found: Rows, names: Names, maker: Maker) -> Lists:
    """到期预警表."""
    titles = ("姓名", "人员标识", "所在地", "补贴项目", "残疾类别", "残疾等级", "有效期至")
    sheets = [
        Sheet(
            name,
            titles,
            [
                (
                    names.get(row["person_id"]), row["person_id"], maker.place(row["area"]),
                    _subsidies(row["subsidies"]), CATEGORY_NAMES.get(row["category"]), row["level"], row["expires_on"],
                )
                for row in found
                if row["within_months"] <= months
            ],
        )
        for name, months in (("一个月内到期", 1), ("六个月内到期", 6))
    ]  # fmt: skip
    return maker.lists("残疾人证到期预警表", "YJ", sheets)


def monthly_changes_list(found: Rows, names: Names, townships: Rows, period: Period, maker: Maker) -> Lists:
    """月度变动表, with who has signed for it: changes, or none (无变化)."""
    titles = (
        "变动",
        "姓名",
        "人员标识",
        "所在地",
        "补贴项目",
        "原因",
        "原等级",
        "现等级",
        "原标准（元）",
        "现标准（元）",
    )
    sheets = [
        Sheet(
            CHANGE_NAMES[change],
            titles,
            [
                (
                    CHANGE_NAMES[change], names.get(row["person_id"]), row["person_id"], _moved(row, maker),
                    SUBSIDY_NAMES[row["subsidy"]], CAUSE_NAMES.get(row["cause"], row["cause"]), row["level_before"],
                    row["level"], _yuan(row["amount_fen_before"]), _yuan(row["amount_fen"]),
                )
                for row in found
                if row["change"] == change
            ],
        )
        for change in CHANGE_NAMES
    ]  # fmt: skip
    signed = [
        (
            maker.place(township["area"]), _signed(township),
            township["signed_by"], township["signed_at"] and township["signed_at"].date(),
        )
        for township in townships
    ]  # fmt: skip
    sheets.append(Sheet("乡镇（街道）签字", ("乡镇（街道）", "报送", "签字人", "签字日期"), signed))
    about = f"{period} 较 {period.previous}" + ("" if found else "：无变化")
    by = ("经办人", "负责人") if level_of(maker.area) == "township" else ()
    return maker.lists("月度变动表", f"BD-{period}", sheets, about=about, signed_by=by)


def certificate_changes_list(found: Rows, names: Names, period: Period, maker: Maker) -> Lists:
    """换证、迁移、冻结清单."""
    titles = (
        "姓名", "人员标识", "所在地", "变更", "残疾类别", "残疾等级", "有效期至", "变更日期", "获知日期", "原因",
    )  # fmt: skip
    of_kinds = {
        "换证": ("certificate.renewed", "certificate.reassessed"),
        "迁移": ("certificate.moved_out",),
        "冻结": ("certificate.frozen", "certificate.unfrozen"),
        "过期注销": ("certificate.expired", "certificate.cancelled"),
    }
    sheets = [
        Sheet(
            name,
            titles,
            [
                (
                    names.get(row["person_id"]), row["person_id"], maker.place(row["area"]),
                    "残疾人证迁移中" if row["in_transit"] else _kind(row), CATEGORY_NAMES.get(row["category"]),
                    row["level"], row["expires_on"], row["occurred_on"], row["known_on"], row["cause"],
                )
                for row in found
                if row["kind"] in kinds
            ],
        )
        for name, kinds in of_kinds.items()
    ]  # fmt: skip
    by = ("经办人", "残联负责人")
    return maker.lists("残疾人证换证、迁移、冻结清单", f"ZB-{period}", sheets, about=str(period), signed_by=by)


def supervision_lists(raised: Rows, maker: Maker) -> Lists:
    """问题清单 (what is open), 督办单 (who sees to it), 整改台账 (everything, with the day on which it was closed)."""
    still_open = [row for row in raised if row["closed_on"] is None]
    problems = [
        (row["escalation_id"], row["says"], maker.place(row["area"]), row["due_on"], row["raised_on"])
        for row in still_open
    ]
    orders = [
        (row["escalation_id"], maker.place(row["raised_to"]), maker.place(row["area"]), row["says"], row["due_on"],
         row["raised_on"], None, None)
        for row in still_open
    ]  # fmt: skip
    ledger = [
        (row["escalation_id"], row["says"], maker.place(row["area"]), maker.place(row["raised_to"]), row["due_on"],
         row["raised_on"], row["closed_on"])
        for row in raised
    ]  # fmt: skip
    sheets = [
        Sheet("问题清单", ("编号", "问题", "责任地区", "期限", "发现日期"), problems),
        Sheet("督办单", ("编号", "督办单位", "责任地区", "问题", "原期限", "督办日期", "办理意见", "签字"), orders),
        Sheet("整改台账", ("编号", "问题", "责任地区", "督办单位", "期限", "督办日期", "销号日期"), ledger),
    ]
    return maker.lists("问题清单、督办单、整改台账", "DB", sheets)


def _kind(row: Mapping[str, Any]) -> str:
    kind: str = row["kind"]
    return KIND_NAMES.get(kind, kind)


def _sources(task: Mapping[str, Any]) -> str:
    return "、".join(SOURCES[name].title if name in SOURCES else name for name in task["sources"])


def _subsidies(subsidies: Iterable[Subsidy]) -> str:
    return "、".join(SUBSIDY_NAMES[subsidy] for subsidy in subsidies)


def _file(file: Mapping[str, Any]) -> str:
    return f"{file['media_type']}（SM3 {file['digest'][:16]}…）"


def _signed(township: Mapping[str, Any]) -> str | None:
    if not township["done"]:
        return None
    return "有变化" if township["changes"] else "无变化"


def _moved(row: Mapping[str, Any], maker: Maker) -> str:
    before, now = row["area_before"], row["area"]
    if before is None or before == now:
        return maker.place(now)
    return f"{maker.place(before)} → {maker.place(now)}"


def _chosen(options: Mapping[str, str], chosen: str | None) -> str:
    return "　".join(("☑" if word == chosen else "□") + name for word, name in options.items())


def _yuan(amount_fen: int | None) -> str | None:
    return None if amount_fen is None else yuan_text(amount_fen)


def _day(day: date | None) -> str:
    return day_text(day) if day else ""

"""The service guide (办事指南, notice 6.3) of an area, made from its policy in force. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.intake.notice import Notice
from services.intake.parameters import AreaParameters


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """What somebody who wants to apply in `area` has to know; `version` is the policy's."""

    area: str
    version: str
    sections: tuple[Section, ...]


def guide(notice: Notice, parameters: AreaParameters, on: date) -> Guide:
    """The guide as it reads on that day: standards and scope as the notice has them, and the rest by parameters."""
    sections = (
        Section("可以申请什么、发给谁", tuple(f"{line.title}：{line.text}" for line in notice.lines)),
        *(
            Section(title, tuple(str(line) for line in lines))
            for name, title in _LISTS.items()
            if (lines := parameters.find(name, on))
        ),
        Section("办理流程和时限", tuple(_process(parameters, on))),
        Section("收费", ("不收取任何费用。",)),
        Section("公示和复核", tuple(_remedies(parameters, on))),
        Section("咨询和监督", _contacts(parameters, on)),
    )
    return Guide(notice.area, notice.version, sections)


_LISTS = {"guide.applicants": "谁可以提出申请", "guide.channels": "在哪里申请", "guide.materials": "申请材料"}
_UNWRITTEN: Sequence[Mapping[str, str]] = (
    {"step": "受理并初审", "who": "乡镇（街道）", "deadline": "review.township_days"},
    {"step": "审核", "who": "县级残联", "deadline": "review.cdpf_days"},
    {"step": "审定", "who": "县级民政部门", "deadline": "review.civil_affairs_days"},
)
"""Until an area's process is told."""


def _process(parameters: AreaParameters, on: date) -> list[str]:
    steps: Sequence[Mapping[str, Any]] = parameters.find("guide.process", on) or _UNWRITTEN
    return [
        f"{step['who']}：{step['step']}"
        + (f"（{parameters.days(step['deadline'], on)}个工作日内）" if step.get("deadline") else "")
        for step in steps
    ] + [
        f"需要补正的，{parameters.deadlines(on).completion}个工作日内补正仍自首次申请当月起计发。",
        f"跨省通办：受理地{parameters.days('cross_province.forward_days', on)}个工作日内转办，"
        f"户籍地{parameters.days('cross_province.decide_days', on)}个工作日内办结，"
        f"受理地{parameters.days('cross_province.tell_days', on)}个工作日内告知结果。",
    ]


def _remedies(parameters: AreaParameters, on: date) -> list[str]:
    shown_days, answer_days = parameters.days("public_list.days", on), parameters.days("objection.answer_days", on)
    return [
        f"批准的名单在乡镇（街道）和村（社区）公示{shown_days}天，不公示身份证号和残疾情况。",
        f"对结果有异议的，可以提出复核申请，由另外的工作人员在{answer_days}个工作日内答复；"
        "也可以依法申请行政复议或者提起行政诉讼。",
    ]


def _contacts(parameters: AreaParameters, on: date) -> tuple[str, ...]:
    said = parameters.find("guide.contact", on)
    return tuple(str(line) for line in said) if said else (f"电话：{parameters.hotline(on)}",)

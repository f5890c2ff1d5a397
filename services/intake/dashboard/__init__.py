"""Intake in the console: applications, archives, changes of persons; its part of a person."""

from __future__ import annotations

from libs.common.auth import Role
from libs.common.dashboard import Page, Panel, Work
from services.intake.dashboard.applications import applications, escalations, work
from services.intake.dashboard.archives import archive_checks, commitments, completion_tasks
from services.intake.dashboard.persons import changes, objections, person
from services.intake.dashboard.registers import register_leads
from services.intake.dashboard.rosters import roster_imports

_REVIEWERS: tuple[Role, ...] = ("township", "cdpf", "civil_affairs")

PAGES = [
    Page("/work", "待办申请", "checklist", work, roles=("township", "cdpf", "civil_affairs")),
    Page("/applications", "申请受理", "description", applications),
    Page("/changes", "变更审批", "published_with_changes", changes),
    Page("/register-leads", "部门数据核实", "difference", register_leads),
    Page("/objections", "复核申请", "rate_review", objections),
    Page("/escalations", "超期督办", "alarm", escalations),
    Page("/archive-checks", "档案抽查", "fact_check", archive_checks),
    Page("/completion-tasks", "档案补全", "inventory_2", completion_tasks),
    Page("/commitments", "承诺书重签", "history_edu", commitments),
    Page("/roster-imports", "存量接管", "move_to_inbox", roster_imports),
]
PERSON_PANELS = [Panel("申请与审批", person)]
WORK = [
    Work("待审核的申请", "/work", _REVIEWERS, "/v1/applications", {"stage": "{role}"}),
    Work(
        "逾期未办的申请",
        "/work?overdue=true",
        _REVIEWERS,
        "/v1/applications",
        {"stage": "{role}", "overdue": "true"},
    ),
    Work("待审批的变更", "/changes?status=pending", ("civil_affairs",), "/v1/changes", {"status": "pending"}),
    Work(
        "待核实的部门数据",
        "/register-leads?status=open",
        ("township", "civil_affairs"),
        "/v1/register-leads",
        {"status": "open"},
    ),
    Work("待答复的复核申请", "/objections?status=open", ("civil_affairs",), "/v1/objections", {"status": "open"}),
    Work(
        "待重新核定的复核申请",
        "/objections?status=upheld&to_handle=true",
        ("civil_affairs",),
        "/v1/objections",
        {"to_handle": "true"},
    ),
    Work("待补全的档案", "/completion-tasks?status=open", _REVIEWERS, "/v1/completion-tasks", {"status": "open"}),
]

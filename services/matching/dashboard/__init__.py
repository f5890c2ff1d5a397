"""Matching in the console: findings, comparisons, feeds, outreach, duties, proofs of life; its part of a person."""

from __future__ import annotations

from libs.common.dashboard import Page, Panel, Work
from services.matching.dashboard.duties import duties
from services.matching.dashboard.feeds import comparisons, feeds
from services.matching.dashboard.findings import findings
from services.matching.dashboard.outreach import outreach
from services.matching.dashboard.proofs import proofs
from services.matching.dashboard.story import STORY, story

__all__ = ["PAGES", "PERSON_PANELS", "STORY", "WORK"]

PAGES = [
    Page("/findings", "比对发现", "manage_search", findings),
    Page(
        "/comparisons",
        "比对记录",
        "compare_arrows",
        comparisons,
        roles=("township", "cdpf", "civil_affairs", "auditor", "admin"),
    ),
    Page("/feeds", "部门数据", "cloud_upload", feeds),
    Page("/duties", "职责日历", "event_note", duties),
    Page("/proofs-of-life", "生存验证", "how_to_reg", proofs),
    Page("/outreach", "主动服务", "campaign", outreach),
]
WORK = [
    Work(
        "待核实的比对发现",
        "/findings?status=open",
        ("township", "cdpf", "civil_affairs"),
        "/v1/findings",
        {"status": "open"},
    ),
    Work(
        "逾期未核实的比对发现",
        "/findings?status=open&overdue=true",
        ("township", "cdpf", "civil_affairs"),
        "/v1/findings",
        {"status": "open", "overdue": "true"},
    ),
    Work(
        "待电话或入户核实的主动服务对象",
        "/outreach?status=task",
        ("township", "civil_affairs"),
        "/v1/outreach",
        {"status": "task"},
    ),
    Work("待做的生存验证", "/proofs-of-life?status=open", ("township",), "/v1/proofs-of-life", {"status": "open"}),
]
PERSON_PANELS = [Panel("数据比对", story)]

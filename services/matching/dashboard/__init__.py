"""Matching in the console: findings, comparisons, feeds, outreach, duties, proofs of life; its part of a person."""

from __future__ import annotations

from libs.common.dashboard import Page, Panel
from services.matching.dashboard.duties import duties
from services.matching.dashboard.feeds import comparisons, feeds
from services.matching.dashboard.findings import findings
from services.matching.dashboard.outreach import outreach
from services.matching.dashboard.proofs import proofs
from services.matching.dashboard.story import story

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
PERSON_PANELS = [Panel("数据比对", story)]

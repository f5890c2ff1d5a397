"""Rosters taken over in the console: each import with its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.dashboard import (
    Column,
    Desk,
    Words,
    area_filter,
    as_area,
    as_moment,
    as_text,
    dialog,
    facts,
    heading,
    word,
)
from libs.common.listing import listing

IMPORTS: Words = {"reading": ("正在读取", "busy"), "judging": ("正在认定", "busy"), "finished": ("已接管", "good")}
REJECTS: Words = {
    "invalid": ("内容有误", "bad"),
    "known": ("系统已有", "quiet"),
    "refused": ("政策不符", "bad"),
    "unpayable": ("账户暂不能发放", "bad"),
}


async def roster_imports(desk: Desk) -> None:
    heading("存量接管", "现有发放花名册逐行核验、按政策认定；以往已发月份作为期初，不再重发")
    columns = [
        Column("imported_at", "导入时间", show=as_moment),
        Column("area", "地区", show=as_area),
        Column("status", "状态", words=IMPORTS),
        Column("read", "已读行数"),
        Column("rows", "总行数"),
        Column("granted", "接管"),
        Column("refused", "政策不符"),
        Column("known", "系统已有"),
        Column("rejected", "内容有误"),
        Column("imported_by", "导入人"),
    ]
    await listing(desk, "/v1/roster-imports", columns, [area_filter(desk)], on_open=lambda row: _open(desk, row))


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    """The report: each row that was not taken over, or not in full, with the reason."""
    path = f"/v1/roster-imports/{row['import_id']}"
    report = await desk.rest.get(path)
    columns = [
        Column("row", "行"),
        Column("field", "栏目或补贴"),
        Column("kind", "类别", words=REJECTS),
        Column("reason", "原因", wide=True),
    ]
    with dialog(f"{as_area(report['area'])} 存量接管"):
        word(report["status"], IMPORTS)
        facts(
            [
                ("待认定", as_text(report["waiting"])),
                ("其中久未得到认定（请运维人员查看死信）", as_text(report["unanswered"])),
                ("接管", as_text(report["granted"])),
                ("账户暂不能发放", as_text(report["unpayable"])),
                ("完成时间", as_moment(report["finished_at"])),
                ("摘要（SHA-256）", report["digest"]),
            ]
        )
        await listing(desk, f"{path}/rejects", columns, empty="全部接管，没有退回的行")

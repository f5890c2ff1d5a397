"""The papers of verification and supervision: as data, and as the Excel lists that officials know."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Response

from libs.common.areas import Area, name_of
from libs.common.audit import record
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.vocabulary import CATEGORY_NAMES, SUBSIDY_NAMES
from libs.common.web import Page, Tx, router
from services.matching.api.parts import PartsOf
from services.matching.handlers import papers as handlers
from services.matching.sheets import MEDIA_TYPE, Sheet, workbook

api = router(prefix="/v1/papers", tags=["papers"])

Verifier = Annotated[Principal, Depends(caller("township", "civil_affairs"))]


@api.get("/task-sheets")
async def read_task_sheets(area: Area, tx: Tx, verifier: Verifier, parts: PartsOf) -> Page:
    """核查任务单: what the area has to verify, with the names as the sources gave them. Reading it is logged."""
    return Page(items=list(await _tasks(tx, area, verifier, parts)))


@api.get("/task-sheets.xlsx", response_class=Response)
async def download_task_sheets(area: Area, tx: Tx, verifier: Verifier, parts: PartsOf) -> Response:
    tasks, today = await _tasks(tx, area, verifier, parts), business_today()
    titles = ("任务编号", "姓名", "人员标识", "线索", "所涉日期", "来源", "所在地", "承办单位", "核实期限", "核实方式",
              "照片", "核实结果", "实际日期", "核实人签字", "见证人签字")  # fmt: skip
    listed = [
        (
            task["finding_id"], task["name"], task["person_id"], task["says"], task["alleged_on"],
            "、".join(task["sources"]), name_of(task["area"], today), name_of(task["assigned_to"], today),
            task["due_on"], *[None] * 6,
        )
        for task in tasks
    ]  # fmt: skip
    return await _download([Sheet("核查任务单", titles, listed)], "HC", area, verifier)


@api.get("/expiring-certificates")
async def read_expiring(area: Area, tx: Tx, reader: Official, as_of: date | None = None) -> Page:
    """到期预警表: recipients whose certificate expires within six months (`within_months` 1 or 6)."""
    reader.require_area(area)
    return Page(items=list(await handlers.read_expiring(tx, area, as_of or business_today())))


@api.get("/expiring-certificates.xlsx", response_class=Response)
async def download_expiring(area: Area, tx: Tx, reader: Official, as_of: date | None = None) -> Response:
    reader.require_area(area)
    on = as_of or business_today()
    found = await handlers.read_expiring(tx, area, on)
    titles = ("人员标识", "所在地", "补贴项目", "残疾类别", "残疾等级", "有效期至")
    sheets = [
        Sheet(
            name,
            titles,
            [
                (
                    row["person_id"],
                    name_of(row["area"], on),
                    "、".join(SUBSIDY_NAMES[subsidy] for subsidy in row["subsidies"]),
                    CATEGORY_NAMES.get(row["category"]),
                    row["level"],
                    row["expires_on"],
                )
                for row in found
                if row["within_months"] <= months
            ],
        )
        for name, months in (("一个月内到期", 1), ("六个月内到期", 6))
    ]
    return await _download(sheets, "YJ", area, reader)


@api.get("/supervision.xlsx", response_class=Response)
async def download_supervision(area: Area, tx: Tx, reader: Official) -> Response:
    """问题清单 (what is open), 督办单 (who sees to it), 整改台账 (everything, with the day on which it was closed)."""
    reader.require_area(area)
    raised = await handlers.read_supervision(tx, area)
    today = business_today()
    still_open = [row for row in raised if row["closed_on"] is None]
    sheets = [
        Sheet(
            "问题清单",
            ("编号", "问题", "责任地区", "期限", "发现日期"),
            [
                (row["escalation_id"], row["says"], name_of(row["area"], today), row["due_on"], row["raised_on"])
                for row in still_open
            ],
        ),
        Sheet(
            "督办单",
            ("编号", "督办单位", "责任地区", "问题", "原期限", "督办日期", "办理意见", "签字"),
            [
                (row["escalation_id"], name_of(row["raised_to"], today), name_of(row["area"], today), row["says"],
                 row["due_on"], row["raised_on"], None, None)
                for row in still_open
            ],
        ),
        Sheet(
            "整改台账",
            ("编号", "问题", "责任地区", "督办单位", "期限", "督办日期", "销号日期"),
            [
                (row["escalation_id"], row["says"], name_of(row["area"], today), name_of(row["raised_to"], today),
                 row["due_on"], row["raised_on"], row["closed_on"])
                for row in raised
            ],
        ),
    ]  # fmt: skip
    return await _download(sheets, "DB", area, reader)


async def _tasks(tx: Tx, area: str, verifier: Principal, parts: PartsOf) -> Sequence[dict[str, Any]]:
    verifier.require_area(area)
    tasks = await handlers.read_task_sheets(tx, area, parts.folder, parts.keys.sealer)
    await record(tx, verifier, "read task sheets", area, findings=len(tasks))
    return tasks


async def _download(sheets: Sequence[Sheet], series: str, area: str, maker: Principal) -> Response:
    """Its number tells the paper, the area and the day."""
    on = business_today()
    number = f"{series}-{area}-{on:%Y%m%d}"
    book = await asyncio.to_thread(workbook, sheets, number=number, area=area, on=on, made_by=maker.sub)
    disposition = {"Content-Disposition": f'attachment; filename="{number}.xlsx"'}
    return Response(book, media_type=MEDIA_TYPE, headers=disposition)

"""`import-roster`: a county's present recipients taken over, with progress and a report."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.local.home import Home, RunningState
from deploy.local.rest import Caller, Refused, Rest

_LOOK_AGAIN_S = 0.5
_LOOKING_SHARE = 0.05
"""Of the time at most: counting a million rows takes a while, and holds up what is counted."""
_REJECTS_SHOWN = 20
_COUNTS = (
    ("rows", "rows on the roster"),
    ("granted", "granted"),
    ("refused", "refused by policy, wholly or in one subsidy"),
    ("known", "known here already"),
    ("rejected", "rejected for what stands in them"),
    ("unanswered", "not judged: see the dead letters of intake and eligibility"),
)

DECIDED, UNREADABLE, ALL_REJECTED, UNDECIDED = 0, 1, 3, 4
"""Exit codes: rows were decided on (granted, refused by policy, or known already); the file is no roster; every row was
rejected for what stands in it; the judgement of some has not come. 2 is a wrong command line."""

output = Console(soft_wrap=True)


def import_roster(home: Home, running: RunningState, path: Path, area: str) -> int:
    """Takes the roster over and prints what became of it; the exit code."""
    return asyncio.run(_import(home, running, path.read_bytes(), area))


async def _import(home: Home, running: RunningState, content: bytes, area: str) -> int:
    caller = Caller("civil_affairs", area)
    async with Rest(running.port, home.keys().jwt_private_key) as rest:
        try:
            report = await rest.upload("intake", "/v1/roster-imports", caller, content, area=area)
        except Refused as refused:
            output.print(refused.problem.get("detail") or str(refused), style="red", markup=False)
            return UNREADABLE
        report = await _followed(rest, caller, report)
        _show(report)
        await _show_rejects(rest, caller, report)
    if report["unanswered"]:
        return UNDECIDED
    return ALL_REJECTED if report["rejected"] == report["rows"] > 0 else DECIDED


async def _followed(rest: Rest, caller: Caller, report: dict[str, Any]) -> dict[str, Any]:
    """The report once everything is decided, or what is not has waited too long. Interrupted here, the takeover goes on
    by itself."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output) as progress:
        reading = progress.add_task("read", total=report["rows"])
        judging = progress.add_task("decided", total=report["rows"])
        looked_s = 0.0
        while True:
            undecided = report["rows"] - report["read"] + report["waiting"]
            progress.update(reading, completed=report["read"])
            progress.update(judging, completed=report["rows"] - undecided)
            if report["status"] == "finished" or report["unanswered"]:
                return report
            await asyncio.sleep(max(_LOOK_AGAIN_S, looked_s / _LOOKING_SHARE))
            began = time.monotonic()
            report = await rest.get("intake", f"/v1/roster-imports/{report['import_id']}", caller)
            looked_s = time.monotonic() - began


def _show(report: dict[str, Any]) -> None:
    table = Table("roster import", report["import_id"], show_edge=False)
    for name, title in _COUNTS:
        table.add_row(title, str(report[name]))
    output.print(table)


async def _show_rejects(rest: Rest, caller: Caller, report: dict[str, Any]) -> None:
    path = f"/v1/roster-imports/{report['import_id']}/rejects"
    page = await rest.get("intake", path, caller, limit=_REJECTS_SHOWN)
    for item in page["items"]:
        output.print(f"  row {item['row']}, {item['field']}: {item['reason']}", markup=False)
    if page["next_cursor"] is not None:
        output.print(f"  … all of them: GET {path}.csv", markup=False)

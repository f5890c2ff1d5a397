"""Lists as officials print and keep them: a workbook with title, number, date, area and who made it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import xlsxwriter

from libs.common.areas import full_name_of

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One list: its usual name, the titles of its columns, and its rows."""

    name: str
    titles: Sequence[str]
    rows: Iterable[Sequence[Any]]


def workbook(sheets: Sequence[Sheet], *, number: str, area: str, on: date, made_by: str) -> bytes:
    """The lists as xlsx, one worksheet each."""
    held = io.BytesIO()
    # Text stays text: a cell that begins with = is what somebody wrote, and no formula.
    with xlsxwriter.Workbook(held, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        heading = book.add_format({"bold": True, "font_size": 16, "align": "center"})
        title = book.add_format({"bold": True, "border": 1, "bg_color": "#E7ECF2", "text_wrap": True})
        cell = book.add_format({"border": 1, "text_wrap": True, "valign": "top"})
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.set_landscape()
            page.fit_to_pages(1, 0)
            page.merge_range(0, 0, 0, len(sheet.titles) - 1, sheet.name, heading)
            page.write_row(
                1, 0, [f"编号：{number}", f"日期：{on}", f"地区：{full_name_of(area, on)}", f"制表：{made_by}"]
            )
            page.write_row(2, 0, sheet.titles, title)
            page.set_column(0, len(sheet.titles) - 1, 16)
            for place, row in enumerate(sheet.rows, start=3):
                page.write_row(place, 0, ["" if value is None else _plain(value) for value in row], cell)
            page.freeze_panes(3, 0)
            page.repeat_rows(2)
    return held.getvalue()


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else str(value)

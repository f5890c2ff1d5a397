"""Lists as officials print and keep them: a workbook, or a paper, with title, number, date, area and who made it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import xlsxwriter

from libs.common.areas import full_name_of
from libs.common.papers.printing import Grid, Heading, Paper, Paragraph, Part, Signatures

WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One list: its usual name, the titles of its columns, and its rows."""

    name: str
    titles: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that go together under one title. `about` is a sentence that stands above them, `signed_by` who signs."""

    title: str
    number: str
    area: str
    on: date
    made_by: str
    sheets: Sequence[Sheet]
    about: str = ""
    signed_by: Sequence[str] = ()


def workbook(lists: Lists) -> bytes:
    """The lists as xlsx, one worksheet each."""
    held = io.BytesIO()
    # Text stays text: a cell that begins with = is what somebody wrote, and no formula.
    with xlsxwriter.Workbook(held, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        heading = book.add_format({"bold": True, "font_size": 16, "align": "center"})
        title = book.add_format({"bold": True, "border": 1, "bg_color": "#E7ECF2", "text_wrap": True})
        cell = book.add_format({"border": 1, "text_wrap": True, "valign": "top"})
        for sheet in lists.sheets:
            page = book.add_worksheet(sheet.name)
            page.set_landscape()
            page.fit_to_pages(1, 0)
            page.merge_range(0, 0, 0, len(sheet.titles) - 1, sheet.name, heading)
            place = full_name_of(lists.area, lists.on)
            page.write_row(
                1,
                0,
                [f"编号：{lists.number}", f"日期：{lists.on}", f"地区：{place}", f"制表：{lists.made_by}", lists.about],
            )
            page.write_row(2, 0, sheet.titles, title)
            page.set_column(0, len(sheet.titles) - 1, 16)
            for place_, row in enumerate(sheet.rows, start=3):
                page.write_row(place_, 0, ["" if value is None else _plain(value) for value in row], cell)
            page.freeze_panes(3, 0)
            page.repeat_rows(2)
    return held.getvalue()


def as_paper(lists: Lists) -> Paper:
    """The lists as one paper to print. Long marks are cut short on it: the workbook has them whole."""
    parts: list[Part] = [Paragraph(lists.about)] if lists.about else []
    for sheet in lists.sheets:
        parts.append(Heading(f"{sheet.name}（{len(sheet.rows)} 条）"))
        if sheet.rows:
            parts.append(Grid(sheet.titles, [[_short(value) for value in row] for row in sheet.rows]))
    if lists.signed_by:
        parts.append(Signatures(lists.signed_by))
    place = full_name_of(lists.area, lists.on)
    return Paper(lists.title, lists.number, place, place, lists.on, lists.made_by, lists.on, parts, wide=True)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else str(value)


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, UUID):
        return str(value)[-12:]
    return _PERSON.sub(r"\1…", str(value))


_PERSON = re.compile(r"(p\d+-[0-9a-f]{8})[0-9a-f]{24}")

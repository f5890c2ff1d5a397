"""Lists as officials print, sign and keep them: one content, as PDF and as Excel.

A column of money holds fen, and shows yuan. A PDF of a long list comes in volumes (分册): a print of ten thousand rows
would take a minute.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import xlsxwriter
from starlette.responses import Response

from libs.common.areas import full_name_of
from libs.common.errors import NotFound
from libs.common.money import yuan_text
from libs.common.papers.printing import Facts, Grid, Paper, Paragraph, Part, Signatures, print_pdf

ListForm = Literal["pdf", "xlsx"]
ROWS_OF_A_VOLUME = 500

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class Titled:
    """A column: what stands above it, and whether it holds fen."""

    title: str
    money: bool = False


@dataclass(frozen=True, slots=True)
class ListPaper:
    """`about`: what it is of, in a line (月份、单位). `total` is a row that is not counted; `facts` and `notes` stand
    before and after the table; `signed_by` are who sign it by hand."""

    name: str
    number: str
    area: str
    office: str
    dated: date
    made_by: str
    made_on: date
    columns: Sequence[Titled]
    rows: Sequence[Sequence[Any]]
    about: str = ""
    total: Sequence[Any] | None = None
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    signed_by: Sequence[str] = ()


async def answer_with_list(paper: ListPaper, form: ListForm, *, volume: int = 1) -> Response:
    """The list in that form; kept by no cache. NotFound for a volume that it has not."""
    if form == "xlsx":
        return Response(workbook([paper]), media_type=_XLSX, headers=_headers(paper, form))
    printed = await asyncio.to_thread(print_pdf, as_paper(paper, volume))
    return Response(printed, media_type="application/pdf", headers=_headers(paper, form))


def answer_with_workbook(papers: Sequence[ListPaper]) -> Response:
    """Several lists as one workbook, named after the first."""
    return Response(workbook(papers), media_type=_XLSX, headers=_headers(papers[0], "xlsx"))


def _headers(paper: ListPaper, form: str) -> dict[str, str]:
    return {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{paper.number}.{form}"'}


def as_paper(paper: ListPaper, volume: int = 1) -> Paper:
    """A volume of it, as it is printed."""
    volumes = max(1, -(-len(paper.rows) // ROWS_OF_A_VOLUME))
    if not 1 <= volume <= volumes:
        raise NotFound(f"it has {volumes} volumes")
    first = (volume - 1) * ROWS_OF_A_VOLUME
    rows = [_printed(paper, row) for row in paper.rows[first : first + ROWS_OF_A_VOLUME]]
    last = volume == volumes
    if last and paper.total is not None:
        rows.append(_printed(paper, paper.total))
    of_volumes = f"第{volume}册 共{volumes}册" if volumes > 1 else ""
    about = "　".join(text for text in (paper.about, of_volumes) if text)
    parts: list[Part] = [
        *([Paragraph(about)] if about else []),
        *([Facts(paper.facts)] if paper.facts else []),
        Grid([column.title for column in paper.columns], rows),
        *(Paragraph(note) for note in paper.notes if last),
        *([Signatures(paper.signed_by)] if paper.signed_by and last else []),
    ]
    return Paper(
        title=paper.name,
        number=paper.number,
        area_name=full_name_of(paper.area, paper.dated),
        office=paper.office,
        dated=paper.dated,
        made_by=paper.made_by,
        made_on=paper.made_on,
        parts=parts,
        wide=len(paper.columns) > 6,
    )


def workbook(papers: Sequence[ListPaper]) -> bytes:
    """The lists as xlsx, a worksheet each."""
    held = io.BytesIO()
    # Text stays text: a cell that begins with = is what somebody wrote, and no formula.
    with xlsxwriter.Workbook(held, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        formats = {
            "name": book.add_format({"bold": True, "font_size": 16, "align": "center"}),
            "title": book.add_format({"bold": True, "border": 1, "align": "center", "text_wrap": True}),
            "cell": book.add_format({"border": 1}),
            "money": book.add_format({"border": 1, "num_format": "#,##0.00"}),
        }
        for paper in papers:
            _write(book.add_worksheet(paper.name.removeprefix("残疾人两项补贴")[:31]), paper, formats)
    return held.getvalue()


def _write(sheet: Any, paper: ListPaper, formats: dict[str, Any]) -> None:
    width = len(paper.columns)
    sheet.merge_range(0, 0, 0, max(width - 1, 1), paper.name, formats["name"])
    place = f"{full_name_of(paper.area, paper.dated)}（{paper.area}）"
    made = (f"编号：{paper.number}", place, paper.about, f"制表：{paper.made_by}", f"制表日期：{paper.made_on}")
    sheet.write(1, 0, "    ".join(text for text in made if text))
    sheet.write_row(2, 0, [column.title for column in paper.columns], formats["title"])
    rows = [*paper.rows, *([paper.total] if paper.total is not None else [])]
    for number, row in enumerate(rows, start=3):
        for place_, (column, value) in enumerate(zip(paper.columns, row, strict=True)):
            if column.money and isinstance(value, int):
                sheet.write_number(number, place_, value / 100, formats["money"])
            else:
                sheet.write(number, place_, _plain(value), formats["cell"])
    below = 3 + len(rows)
    for line in (*(f"{name}：{value}" for name, value in paper.facts), *paper.notes):
        sheet.write(below, 0, line)
        below += 1
    if paper.signed_by:
        sheet.write(below + 1, 0, "        ".join(f"{who}：____________" for who in paper.signed_by))
    sheet.set_column(0, width - 1, 15)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(2)
    sheet.freeze_panes(3, 0)


def _printed(paper: ListPaper, row: Sequence[Any]) -> list[str]:
    return [
        yuan_text(value) if column.money and isinstance(value, int) else str(_plain(value))
        for column, value in zip(paper.columns, row, strict=True)
    ]


def _plain(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, int | float | str) else str(value)

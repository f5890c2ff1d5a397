"""Papers of the office (政策告知承诺书, 通知书, 审批表, 公示): one content, printed as PDF or shown as HTML.

A paper is data. `paper.typ` lays it out; no string of it is ever read as markup, in the PDF or in the HTML. Characters
that the font does not have are named at the foot of the paper by their code points, for somebody to write by hand:
a name is never printed wrong in silence.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from html import escape
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, ClassVar

import noto_cjk_sans_otc
import typst
from fontTools.ttLib import TTCollection

_FONTS = Path(noto_cjk_sans_otc.__file__).parent


@dataclass(frozen=True, slots=True)
class Heading:
    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A numbered list."""

    kind: ClassVar[str] = "list"
    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known, each with its name."""

    kind: ClassVar[str] = "facts"
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; every row as long as `titles`."""

    kind: ClassVar[str] = "table"
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Signatures:
    """Lines on which somebody signs and dates by hand."""

    kind: ClassVar[str] = "signatures"
    names: Sequence[str]


Part = Heading | Paragraph | Items | Facts | Grid | Signatures


@dataclass(frozen=True, slots=True)
class Paper:
    """`made_by` is who had it made and `made_on` when; `dated` is the date of what it says."""

    title: str
    number: str
    area_name: str
    office: str
    dated: date
    made_by: str
    made_on: date
    parts: Sequence[Part]
    addressee: str = ""
    wide: bool = False

    def texts(self) -> Iterator[str]:
        """Every string of it, in no particular order."""
        yield from _strings(asdict(self).values())


def print_pdf(paper: Paper) -> bytes:
    """The paper as PDF. Takes tenths of a second of CPU: not on the event loop."""
    content = {
        **asdict(paper),
        "dated": day_text(paper.dated),
        "made_on": paper.made_on.isoformat(),
        "parts": [{"kind": part.kind, **asdict(part)} for part in paper.parts],
        "unprintable": _named(unprintable(paper)),
    }
    with as_file(files(__package__) / "paper.typ") as layout:
        printed: bytes = typst.compile(
            str(layout),
            format="pdf",
            font_paths=[str(_FONTS)],
            ignore_system_fonts=True,
            sys_inputs={"paper": json.dumps(content, ensure_ascii=False)},
        )
    return printed


def show_html(paper: Paper) -> str:
    """The paper as a page of its own, without scripts."""
    parts = "\n".join(_part_html(part) for part in paper.parts)
    addressee = f"<p>{escape(paper.addressee)}：</p>" if paper.addressee else ""
    return f"""<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(paper.title)}</title><style>{_STYLE}</style></head><body><main>
<h1>{escape(paper.title)}</h1>
<p class="head">{escape(paper.area_name)}　编号：{escape(paper.number)}</p>
{addressee}
{parts}
<p class="end">{escape(paper.office)}<br>{day_text(paper.dated)}</p>
<footer>{escape(paper.made_by)}　{paper.made_on}</footer>
</main></body></html>
"""


def unprintable(paper: Paper) -> list[str]:
    """Characters of the paper that the font does not have, each once, by code point."""
    return sorted({c for string in paper.texts() for c in string if c > " " and ord(c) not in _covered()})


def day_text(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


@functools.cache
def _covered() -> frozenset[int]:
    """The code points that the font has a glyph for."""
    with TTCollection(_FONTS / "NotoSansCJK-Regular.ttc", lazy=True) as collection:
        return frozenset(collection.fonts[0].getBestCmap())


def _named(characters: Iterable[str]) -> str:
    return "、".join(f"U+{ord(character):04X}" for character in characters)


def _strings(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _strings(value.values())
        elif isinstance(value, (list, tuple)):
            yield from _strings(value)


def _part_html(part: Part) -> str:
    match part:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Items(items):
            return "<ol>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ol>"
        case Facts(facts):
            return "<table>" + "".join(_row_html(("th", "td"), row) for row in facts) + "</table>"
        case Grid(titles, rows):
            head = _row_html(["th"] * len(titles), titles)
            return f"<table>{head}{''.join(_row_html(['td'] * len(row), row) for row in rows)}</table>"
        case Signatures(names):
            return "".join(f"<p>{escape(name)}：________________　　　年　　月　　日</p>" for name in names)


def _row_html(tags: Sequence[str], row: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{t}>{escape(c)}</{t}>" for t, c in zip(tags, row, strict=True)) + "</tr>"


_STYLE = (
    "body{margin:0;background:#fff;color:#111;font:16px/1.7 'Noto Sans CJK SC','Microsoft YaHei',sans-serif}"
    "main{max-width:46rem;margin:auto;padding:2rem 1rem}h1{text-align:center;font-size:1.6rem}h2{font-size:1.1rem}"
    ".head,footer{text-align:center;color:#555;font-size:.85rem}.end{text-align:right}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #888;padding:.35rem .5rem;text-align:left}"
    "th{background:#f0f0f0;font-weight:normal}"
)

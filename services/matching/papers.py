"""The ledger of a comparison (台账) as a workbook: what it read, what it found, and what became of each finding."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import xlsxwriter

_FOUND = ("finding_id", "person_id", "kind", "area", "alleged_on", "due_on")
_BECAME = ("status", "method", "effective_on", "verified_by", "fact_id")
_FOUND_TITLES = ("发现编号", "人员标识", "线索", "行政区划代码", "所涉日期", "核实期限")
_BECAME_TITLES = ("核实结果", "核实方式", "生效日期", "核实人", "事实编号")


def ledger_workbook(entries: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
    """`entries` are the ledger's, each with its hash, from the first on."""
    written = list(entries)
    held = io.BytesIO()
    with xlsxwriter.Workbook(held, {"constant_memory": True, "strings_to_formulas": False}) as book:
        bold = book.add_format({"bold": True})
        _write(book.add_worksheet("概要"), ("项目", "内容"), _summary(written), bold)
        _write(book.add_worksheet("比对发现"), (*_FOUND_TITLES, *_BECAME_TITLES, "哈希"), _findings(written), bold)
        _write(
            book.add_worksheet("数据疑点"), ("编号", "人员标识", "种类", "行政区划代码", "依据"), _notes(written), bold
        )
    return held.getvalue()


def _summary(entries: list[tuple[str, Mapping[str, Any]]]) -> Iterable[tuple[Any, ...]]:
    names = {
        "comparison_id": "比对编号",
        "level": "层级",
        "area": "行政区划代码",
        "as_of": "比对日期",
        "roster": "名册摘要",
    }
    for hash_, entry in entries:
        if entry["entry"] == "comparison":
            yield from ((title, entry[name]) for name, title in names.items())
            yield from (
                (f"数据 {item['source']}", f"{item['feed_id']}　SM3 {item['digest']}") for item in entry["inputs"]
            )
            yield from ((f"缺少 {source}", "") for source in entry["missing"])
            yield from ((f"规则 {name}", f"SM3 {digest}") for name, digest in entry["rules"].items())
        elif entry["entry"] == "counts":
            yield "比对人数", entry["compared"]
            yield "新增发现", entry["findings"]
            yield from ((f"其中 {kind}", count) for kind, count in entry["by_kind"].items())
            yield "数据疑点", entry["discrepancies"]
            yield "台账哈希（比对完成时）", hash_
    yield "台账哈希（导出时）", entries[-1][0] if entries else ""


def _findings(entries: list[tuple[str, Mapping[str, Any]]]) -> Iterable[tuple[Any, ...]]:
    became = {entry["finding_id"]: entry for _, entry in entries if entry["entry"] == "verification"}
    for hash_, entry in entries:
        if entry["entry"] == "findings":
            for found in entry["items"]:
                outcome = became.get(found["finding_id"], {"status": "open"})
                yield *(found[name] for name in _FOUND), *(outcome.get(name) for name in _BECAME), hash_


def _notes(entries: list[tuple[str, Mapping[str, Any]]]) -> Iterable[tuple[Any, ...]]:
    for _, entry in entries:
        if entry["entry"] == "discrepancies":
            for noted in entry["items"]:
                names = ("discrepancy_id", "person_id", "kind", "area")
                yield *(noted[name] for name in names), "；".join(str(said) for said in noted["evidence"])


def _write(sheet: Any, titles: Iterable[str], rows: Iterable[tuple[Any, ...]], bold: Any) -> None:
    sheet.set_column(0, 0, 40)
    sheet.set_column(1, 11, 24)
    sheet.write_row(0, 0, titles, bold)
    for number, row in enumerate(rows, start=1):
        sheet.write_row(number, 0, ["" if cell is None else cell for cell in row])

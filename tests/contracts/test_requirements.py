"""`docs/requirements.md` tells the truth: the tests, endpoints and pages that it names exist."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = {1: 7, 2: 5, 3: 9, 4: 6, 5: 3, 6: 3, 7: 2, 8: 1}
"""How many clauses each section of the notice has here."""
CLAUSES = [f"{section}.{number}" for section, count in SECTIONS.items() for number in range(1, count + 1)]


def _rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "requirements.md").read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in cells if re.match(r"\d\.\d ", row[0])]


@cache
def _endpoints() -> set[tuple[str, str]]:
    found = set()
    for file in (ROOT / "docs" / "api").glob("*.json"):
        for path, methods in json.loads(file.read_text("utf-8"))["paths"].items():
            found |= {(method.upper(), re.sub(r"\{[^}]*\}", "{}", path)) for method in methods}
    return found


def test_every_clause_has_its_row() -> None:
    assert [row[0].split(" ")[0] for row in _rows()] == CLAUSES


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0].split(" ")[0])
def test_what_a_row_names_exists(row: list[str]) -> None:
    _, state, endpoints, tests = row
    assert re.match(r"done$|part: .+|open: .+", state), "a row that is not done says what is missing"
    for method, path in re.findall(r"`(GET|POST|PUT|DELETE) ([^`?]+)", endpoints):
        assert (method, re.sub(r"\{[^}]*\}|…", "{}", path)) in _endpoints(), f"{method} {path}"
    named = re.findall(r"`(tests/[^`:]+)::(\w+)`", tests)
    for file, function in named:
        assert f"def {function}(" in (ROOT / file).read_text("utf-8"), f"{file}::{function}"
    if state == "done":
        assert re.search(r"`", endpoints), "a row that is done names its endpoint or page"
        assert named, "a row that is done names its test"

"""Whoever changes how anybody is judged says so, and a release judges everybody anew."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import services.eligibility
from services.eligibility.policy.parameters import JUDGEMENT, shipped

_JUDGE = (
    "claims", "columns", "days", "determination", "facts", "folding", "months", "schedules", "sources", "spells",
    "policy/eras", "policy/parameters", "policy/rules",
)  # fmt: skip
"""Everything between what was asserted of a person and the schedule."""

_RECORDED = (1, "9144d0577bfa5adf")


def _code(source: str) -> Iterator[str]:
    """What a module says, but for comments, docstrings and layout; the same on every release of Python."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Constant) and id(node) in said):
            plain = [value for _, value in ast.iter_fields(node) if isinstance(value, str | int | float | bool)]
            yield f"{type(node).__name__}{plain}"


def test_who_changes_the_judging_code_decides_whether_everybody_is_judged_anew() -> None:
    folder = Path(services.eligibility.__file__).parent
    digest = hashlib.sha256()
    for name in _JUDGE:
        for part in _code((folder / f"{name}.py").read_text(encoding="utf-8")):
            digest.update(part.encode())
    assert (JUDGEMENT, digest.hexdigest()[:16]) == _RECORDED, (
        "the judging code changed: raise JUDGEMENT (policy/parameters.py) if anybody may be judged otherwise than"
        " before, and record both here"
    )


def test_another_judgement_is_another_version_everywhere() -> None:
    now, then = shipped(), replace(shipped(), judgement=JUDGEMENT + 1)
    assert all(now.version(area) != then.version(area) for area in now.areas)
    assert now.digest != then.digest

"""Bad policy files, one per kind of error in `bad/`; each begins with the message that it gets, as a comment."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.eligibility.policy.lint import check_layer
from services.eligibility.policy.parameters import shipped

_FILES = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
_DECIDED_ON = date(2026, 4, 1)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_bad_layer_gets_its_message_with_line_and_clause(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    told = []
    for problem in check_layer(text, shipped(), _DECIDED_ON):
        clause = f" ({problem.clause})" if problem.clause else ""
        told.append(f"line {problem.line}{clause}: {problem.message}")
    assert told == expected
    assert expected


def test_each_bad_layer_is_good_once_its_error_is_mended() -> None:
    bad = (Path(__file__).parent / "bad" / "backdated-without-reason.yaml").read_text(encoding="utf-8")
    mended = bad.replace("confidence: V", "confidence: V, reason: 上级文件追溯")
    assert check_layer(mended, shipped(), _DECIDED_ON) == []


def test_there_is_a_file_for_every_kind_and_the_page_lists_it() -> None:
    assert len(_FILES) >= 20
    page = (Path(__file__).parents[2] / "docs" / "policy-layers.md").read_text(encoding="utf-8")
    for path in _FILES:
        lines = path.read_text(encoding="utf-8").splitlines()
        messages = "; ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
        assert f"| `{path.name}` | {messages} |" in page


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "[" * 100_000,
        "layer: '53'\nparameters: {living.amount_fen: [{since: 2026-05-01T10:00:00, value: 1, source: s}]}",
        "\n".join(" " * depth + "layer:" for depth in range(1000)),
        "layer: '53'\nparameters: {care.levels: [{since: 2026-05-01, value: [[1]], source: s}]}",
        "layer: '53'\nparameters: {care.amount_fen: [{since: 2026-05-01, value: {[1]: 2}, source: s}]}",
        "a: &a [1, 1]\nb: &b [*a, *a]\nlayer: '53'\nparameters: {care.levels: [{since: 2026-05-01, value: *b}]}",
        "layer: '53'\nparameters: {1: [{since: 9999-12-31, value: 1, confidence: [V]}]}",
    ],
    ids=[
        "empty",
        "no text",
        "deep",
        "deep by lines",
        "a moment",
        "nested",
        "a list as key",
        "aliases",
        "a number as name",
    ],
)
def test_whatever_is_sent_is_answered_by_problems(text: str) -> None:
    assert check_layer(text, shipped(), _DECIDED_ON) != []

"""The documents lead somewhere: every file that one of them links to exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _documents() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


@pytest.mark.parametrize("document", _documents())
def test_every_link_leads_to_a_file(document: str) -> None:
    path = ROOT / document
    targets = [link.partition("#")[0] for link in LINK.findall(path.read_text("utf-8")) if "://" not in link]
    missing = [target for target in targets if target and not (path.parent / target).exists()]
    assert not missing

"""Installs what one service needs, and nothing else, as pinned and hashed in requirements.lock.

    python deploy/pins.py SERVICE [PIP OPTION …]

pip resolves the service's extra at the versions of the lock (a dry run); the lock's entries of exactly those packages
are then installed under `--require-hashes`. Images are built with it: one lock, and no image with another's libraries.
Needs Python and pip only, as it runs before anything is installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def requirements_of(service: str) -> list[str]:
    """The project's base dependencies and those of the service's extra, extras that it names in turn included."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *_extra(project, service)]


def _extra(project: dict[str, Any], name: str) -> list[str]:
    found: list[str] = []
    for requirement in project["optional-dependencies"][name]:
        own = re.fullmatch(rf"{project['name']}\[([a-z0-9_,]+)\]", requirement)
        found += [item for each in own[1].split(",") for item in _extra(project, each)] if own else [requirement]
    return found


def lock_entries() -> dict[str, str]:
    """By normalised name, each package's entry in the lock: its pin and its hashes."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", (_ROOT / "requirements.lock").read_text("utf-8"))
    return {_normalised(entry): entry.rstrip() for entry in entries if "==" in entry.partition("\n")[0]}


def install(service: str, options: Sequence[str]) -> None:
    """CalledProcessError if pip fails; KeyError names what the lock lacks."""
    lock = lock_entries()
    with tempfile.TemporaryDirectory() as folder:
        versions, report, pins = (Path(folder) / name for name in ("versions.txt", "report.json", "pins.txt"))
        versions.write_text("\n".join(entry.partition(" ")[0] for entry in lock.values()))
        resolve = ["--dry-run", "--ignore-installed", "--report", str(report), "--constraint", str(versions)]
        _pip(*resolve, *requirements_of(service))
        resolved = [item["metadata"]["name"] for item in json.loads(report.read_text())["install"]]
        pins.write_text("\n".join(lock[_normalised(name)] for name in resolved) + "\n")
        _pip(*options, "--no-deps", "--require-hashes", "--requirement", str(pins))


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)  # noqa: S603 - our own arguments


def _normalised(requirement: str) -> str:
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


if __name__ == "__main__":
    install(sys.argv[1], sys.argv[2:])

"""How the console looks: one palette and one stylesheet, for every page of every service."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

_STYLESHEET = (Path(__file__).parent / "look.css").read_text(encoding="utf-8")


def apply() -> None:
    """Gives the page that is being built the console's look."""
    ui.colors(primary="#14506b", secondary="#3d5a66", accent="#8a5a00", positive="#1f6b42", negative="#a32020")
    ui.add_css(_STYLESHEET)

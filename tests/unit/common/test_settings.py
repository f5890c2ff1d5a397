"""The README lists every setting; `python -m tests.unit.common.test_settings` writes the table anew."""

from __future__ import annotations

import re
from pathlib import Path

from libs.common.settings import Settings
from services.console.settings import ConsoleSettings

README = Path(__file__).parents[3] / "README.md"
_TABLE = re.compile(r"(?<=<!-- settings -->\n).*(?=<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    lines = ["| variable | default | |", "|---|---|---|"]
    fields = Settings.model_fields | ConsoleSettings.model_fields
    for name, field in fields.items():
        default = "" if field.default in ("", None) else f"`{field.default}`"
        lines.append(f"| `LIANGBU_{name.upper()}` | {default} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def test_the_readme_lists_every_setting_as_it_is() -> None:
    found = _TABLE.search(README.read_text("utf-8"))
    assert found is not None
    assert found[0] == settings_table()


if __name__ == "__main__":
    README.write_text(_TABLE.sub(lambda _: settings_table(), README.read_text("utf-8")), "utf-8")

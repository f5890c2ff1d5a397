from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.local.cli import app
from services.matching.ledger import GENESIS, chain, line


@pytest.mark.parametrize("area", ["", "0", "5", "53010", "kunming"])
def test_a_token_is_made_for_an_area_that_was_named_and_for_no_other(area: str) -> None:
    refused = CliRunner().invoke(app, ["token", "--role", "auditor", "--area", area])
    assert refused.exit_code == 2, "an empty variable of a script must not become the nation"


def test_an_auditor_sees_whether_an_exported_ledger_is_whole(tmp_path: Path) -> None:
    first, second = chain([{"entry": "comparison", "note": "分行\u2028符"}, {"entry": "findings"}])
    exported = line(first, GENESIS) + line(second, first.hash)
    file = tmp_path / "ledger.ndjson"

    file.write_text(exported, encoding="utf-8")
    whole = CliRunner().invoke(app, ["verify-ledger", str(file)])
    assert (whole.exit_code, second.hash in whole.output) == (0, True)

    for changed in (exported.replace("findings", "findingz"), exported.replace('"seq":1', '"seq":2'), "no ledger", ""):
        file.write_text(changed, encoding="utf-8")
        broken = CliRunner().invoke(app, ["verify-ledger", str(file)])
        assert (broken.exit_code, "BROKEN" in broken.output) == (1, True), changed


@pytest.mark.parametrize("command", [["sample", "--area", "530102", "--persons", "5"], ["export-contracts"]])
def test_a_folder_that_cannot_be_written_is_named_and_the_command_fails(tmp_path: Path, command: list[str]) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    ended = CliRunner().invoke(app, [*command, "--out", str(in_the_way / "below")])
    assert ended.exit_code == 1
    assert isinstance(ended.exception, SystemExit), "a sentence, no traceback"
    assert f"无法写入 {in_the_way}" in ended.output

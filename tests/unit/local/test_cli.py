from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deploy.local.cli import app


@pytest.mark.parametrize("area", ["", "0", "5", "53010", "kunming"])
def test_a_token_is_made_for_an_area_that_was_named_and_for_no_other(area: str) -> None:
    refused = CliRunner().invoke(app, ["token", "--role", "auditor", "--area", area])
    assert refused.exit_code == 2, "an empty variable of a script must not become the nation"

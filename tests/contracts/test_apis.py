"""What is stored of each service's REST is what it serves, so that a review sees every change of it."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.local.commands.contracts import api_documents

STORED = Path(__file__).parents[2] / "docs" / "api"


def test_the_stored_documents_are_those_that_services_serve() -> None:
    served = json.loads(json.dumps(api_documents()))
    assert {path.stem for path in STORED.glob("*.json")} == set(served)
    differing = [
        name for name, document in served.items() if json.loads((STORED / f"{name}.json").read_text()) != document
    ]
    assert not differing, "run `liangbu export-contracts`"

"""`export-contracts`: what outside parties rely on, as files that a review can compare."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from deploy.local.launcher import PROCESSES
from libs.common.events.envelope import event_types
from libs.common.events.schemas import schema_of
from libs.common.settings import Settings


def event_schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of each event's data, by type."""
    return {name: schema_of(name) for name in sorted(event_types())}


def api_documents() -> dict[str, dict[str, Any]]:
    """The OpenAPI document of each service that has one, by name."""
    documents = {}
    for name in PROCESSES:
        if name == "console":  # pages for people, no API
            continue
        main = importlib.import_module(f"services.{name}.main")
        build = main.create_app if name == "onecard_mock" else main.build
        documents[name] = build(Settings()).openapi()
    return documents


def export(out: Path) -> list[Path]:
    """Write `events/<type>.json` and `api/<service>.json`; files of types that are no more are removed."""
    written = _write(out / "events", event_schemas()) + _write(out / "api", api_documents())
    return sorted(written)


def _write(folder: Path, documents: dict[str, dict[str, Any]]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.json")) - {folder / f"{name}.json" for name in documents}:
        stale.unlink()
    for name, document in documents.items():
        text = json.dumps(document, ensure_ascii=False, indent=2)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return [folder / f"{name}.json" for name in documents]

"""Alerts watch numbers that exist and lead to what the operator should do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from libs.common import telemetry
from libs.common.settings import PORT_OFFSETS

ROOT = Path(__file__).parents[3]
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))["groups"][0][
    "rules"
]


def _measured() -> set[str]:
    assert telemetry.REQUESTS  # registered by importing it
    named = {metric.name for metric in REGISTRY.collect()}
    return {name + ending for name in named for ending in ("", "_total", "_count", "_sum", "_bucket")}


def _headings() -> set[str]:
    lines = (ROOT / "docs/operations.md").read_text("utf-8").splitlines()
    return {line.removeprefix("## ").lower().replace(" ", "-") for line in lines if line.startswith("## ")}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_watches_what_is_measured_and_names_its_page(rule: dict[str, Any]) -> None:
    watched = set(re.findall(r"liangbu_\w+", rule["expr"]))
    assert watched <= _measured()
    assert watched or rule["expr"].startswith("up{")
    document, _, heading = rule["annotations"]["runbook"].partition("#")
    assert document == "docs/operations.md"
    assert heading in _headings()


def test_every_service_is_scraped_on_its_port() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    services = [name for name in PORT_OFFSETS if name not in ("console", "onecard_mock")]
    assert job["static_configs"][0]["targets"] == [f"{name}:{8000 + PORT_OFFSETS[name]}" for name in services]

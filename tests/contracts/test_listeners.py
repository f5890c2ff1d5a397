"""`docs/architecture.md` tells the truth: who listens to which event, and on which topic."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from libs.common.events.envelope import PRODUCERS, event_types

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


def _listeners() -> dict[str, set[str]]:
    """By event type, without its version: which services subscribe to it."""
    found: dict[str, set[str]] = defaultdict(set)
    for service in PRODUCERS:
        module = import_module(f"services.{service}.subscriptions")
        made: Any = module.SUBSCRIPTIONS if hasattr(module, "SUBSCRIPTIONS") else module.subscriptions(None)
        for subscription in made:
            found[subscription.data.type.removesuffix(".v1")].add(service)
    return found


def _told() -> list[tuple[str, list[str], set[str]]]:
    """The rows of the table: topic, events, listeners."""
    section = ARCHITECTURE.read_text("utf-8").split("## Who listens to what")[1].split("\n## ")[0]
    rows, topic = [], ""
    for line in section.splitlines():
        if not line.startswith("| ") or line.startswith("| topic"):
            continue
        first, events, listeners = (cell.strip() for cell in line.strip("|").split("|"))
        topic = first.strip("`") or topic
        rows.append((topic, re.findall(r"`([^`]+)`", events), set(filter(None, listeners.split(", ")))))
    return rows


def test_each_event_is_told_with_its_topic_and_with_all_who_listen() -> None:
    producers = {name.removesuffix(".v1"): payload.producer for name, payload in event_types().items()}
    told: dict[str, set[str]] = {}
    for topic, events, listeners in sorted(_told(), key=lambda row: any("*" in event for event in row[1])):
        for event in events:
            of_topic = [name for name, producer in producers.items() if producer == topic.split(".")[1]]
            named = [name for name in of_topic if re.fullmatch(re.escape(event).replace(r"\*", ".*"), name)]
            assert named, f"{topic} has no {event}"
            for name in named:
                if "*" in event and name in told:
                    continue  # told by its own name
                assert told.setdefault(name, listeners) == listeners, f"{name} is told twice"
    assert told == {name: _listeners().get(name, set()) for name in producers}

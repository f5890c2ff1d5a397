"""The stored schemas of the events, and what counts as breaking one.

A reader of an older build must understand a newer event, so a change may add optional fields and new event types, and
nothing else: no field may go, change its type, become narrower, or become required where readers could rely on less.
"""

from __future__ import annotations

from typing import Any

import libs.common.events  # noqa: F401 (declares every event)
from libs.common.events.envelope import event_types


def schema_of(event_type: str) -> dict[str, Any]:
    """The JSON schema of the payload of one event type, with its producer."""
    payload = event_types()[event_type]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:liangbu:event:{event_type}",
        "x-producer": payload.producer,
        **payload.model_json_schema(mode="validation" if payload.is_sparse else "serialization", by_alias=True),
    }


def breaking_changes(stored: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """What in `current` a reader or writer that knows `stored` would stumble over; empty when compatible."""
    if stored["x-producer"] != current["x-producer"]:
        return ["it moved to another producer, and so to another topic"]
    return _compare(stored, current, stored, current, "data")


def _compare(
    old: dict[str, Any], new: dict[str, Any], old_root: dict[str, Any], new_root: dict[str, Any], path: str
) -> list[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    found = []
    for word in ("type", "format", "pattern", "const"):
        if old.get(word) != new.get(word):
            found.append(f"{path}: {word} changed from {old.get(word)!r} to {new.get(word)!r}")
    if "enum" in old and set(old["enum"]) - set(new.get("enum", old["enum"])):
        found.append(f"{path}: values went: {sorted(set(old['enum']) - set(new['enum']))}")
    if "anyOf" in old or "anyOf" in new:
        found += _compare_alternatives(old, new, old_root, new_root, path)
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    for name in old_fields:
        if name not in new_fields:
            found.append(f"{path}.{name}: went")
        else:
            found += _compare(old_fields[name], new_fields[name], old_root, new_root, f"{path}.{name}")
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        if name not in old_fields:
            found.append(f"{path}.{name}: is new and required; events already written lack it")
    if "items" in old and "items" in new:
        found += _compare(old["items"], new["items"], old_root, new_root, f"{path}[]")
    return found


def _compare_alternatives(
    old: dict[str, Any], new: dict[str, Any], old_root: dict[str, Any], new_root: dict[str, Any], path: str
) -> list[str]:
    olds, news = old.get("anyOf", [old]), new.get("anyOf", [new])
    if len(olds) != len(news):
        return [f"{path}: may be {len(news)} things where it was {len(olds)}"]
    pairs = zip(olds, news, strict=True)
    return [problem for one, other in pairs for problem in _compare(one, other, old_root, new_root, path)]


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        target: dict[str, Any] = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        return target
    return schema

"""Events are a public API: their stored schemas may only grow."""

from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from libs.common.events import envelope as envelopes
from libs.common.events.envelope import (
    Envelope,
    UnreadableEvent,
    event_types,
    read_data,
    read_envelope,
    read_event,
    upcaster,
    write_envelope,
)
from libs.common.events.matching import PersonDied
from libs.common.events.schemas import breaking_changes, schema_of

STORED = Path(__file__).parents[2] / "docs" / "events"


@pytest.mark.parametrize("event_type", sorted(event_types()))
def test_the_stored_schema_is_not_broken(event_type: str) -> None:
    stored = json.loads((STORED / f"{event_type}.json").read_text())
    assert breaking_changes(stored, schema_of(event_type)) == []


@pytest.mark.parametrize("event_type", sorted(event_types()))
def test_the_stored_schema_is_what_the_code_writes(event_type: str) -> None:
    stored = json.loads((STORED / f"{event_type}.json").read_text())
    assert stored == schema_of(event_type), "run `liangbu export-contracts`"


def test_no_stored_event_type_has_vanished() -> None:
    assert {path.stem for path in STORED.glob("*.json")} <= set(event_types())


def test_every_schema_is_valid_json_schema_and_every_type_carries_its_version() -> None:
    for event_type in event_types():
        jsonschema.Draft202012Validator.check_schema(schema_of(event_type))
        assert event_type.endswith(".v1")


def _without_field(schema: dict[str, Any]) -> None:
    del schema["properties"]["occurred_on"]


def _other_type(schema: dict[str, Any]) -> None:
    schema["properties"]["occurred_on"] = {"type": "integer"}


def _new_required(schema: dict[str, Any]) -> None:
    schema["properties"]["county"] = {"type": "string"}
    schema["required"].append("county")


def _narrower(schema: dict[str, Any]) -> None:
    schema["properties"]["kind"]["enum"] = ["serving"]


def _moved(schema: dict[str, Any]) -> None:
    schema["x-producer"] = "intake"


def _no_longer_nullable(schema: dict[str, Any]) -> None:
    schema["properties"]["area"] = {"type": "string"}


@pytest.mark.parametrize(
    "break_it", [_without_field, _other_type, _new_required, _narrower, _moved, _no_longer_nullable]
)
def test_a_breaking_change_is_refused(break_it: Any) -> None:
    stored = schema_of("person.imprisoned.v1")
    changed = copy.deepcopy(stored)
    break_it(changed)
    assert breaking_changes(stored, changed)


def test_an_optional_field_may_be_added() -> None:
    stored = schema_of("person.imprisoned.v1")
    changed = copy.deepcopy(stored)
    changed["properties"]["prison_code"] = {"type": "string"}
    assert breaking_changes(stored, changed) == []


def test_no_event_has_a_plain_field_for_a_name_a_number_or_a_phone() -> None:
    """Names, ID numbers, phones and accounts travel sealed (architecture: no plaintext identity travels)."""
    for event_type in event_types():
        for path, field in _fields(schema_of(event_type)):
            name = path.rsplit(".", 1)[-1]
            if name in {"name", "person_name", "holder_name", "phone", "number", "id_number"}:
                assert "sm4" in json.dumps(field), f"{event_type}: {path} is not sealed"


def _fields(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    own = [(name, field) for name, field in schema.get("properties", {}).items()]
    return own + [item for part in schema.get("$defs", {}).values() for item in _fields(part)]


def test_what_is_written_is_read_back_whole() -> None:
    event_id, moment = uuid4(), datetime(2026, 3, 16, 8, 30, 0, 123456, tzinfo=UTC)
    fact = PersonDied(
        person_id='p1-"quoted"', fact_id=uuid4(), occurred_on=date(2026, 3, 1), known_at=moment, source="cremations"
    )
    raw = write_envelope(fact, event_id=event_id, source="matching", time=moment, traceparent="00-ab-cd-01")
    envelope = read_envelope(raw.encode())
    assert (envelope.id, envelope.subject, envelope.time) == (event_id, fact.person_id, moment)
    assert (envelope.producer, envelope.traceparent) == ("matching", "00-ab-cd-01")
    assert read_data(envelope) == fact


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\xff", "envelope"),
        (b"{}", "envelope"),
        (b'{"specversion": "0.3"}', "envelope"),
    ],
)
def test_what_is_no_envelope_is_unreadable(raw: bytes, says: str) -> None:
    with pytest.raises(UnreadableEvent, match=says):
        read_envelope(raw)


@pytest.mark.parametrize("rewrite", [dict, lambda told: {"data": told["data"], **told}])
def test_an_event_is_read_alike_in_one_pass_and_in_two(rewrite: Any) -> None:
    fact = PersonDied(
        person_id="p1-0",
        fact_id=uuid4(),
        occurred_on=date(2026, 3, 1),
        known_at=datetime(2026, 3, 2, tzinfo=UTC),
        source="d",
    )
    written = write_envelope(fact, event_id=uuid4(), source="matching", time=datetime(2026, 3, 2, tzinfo=UTC))
    raw = json.dumps(rewrite(json.loads(written))).encode()
    in_two = read_envelope(raw)
    context, data = read_event(raw)
    assert data == read_data(in_two) == fact
    assert context.model_dump(exclude={"data"}) == in_two.model_dump(exclude={"data"})


def test_what_is_wrong_with_an_event_is_told_whichever_way_it_is_read() -> None:
    with pytest.raises(UnreadableEvent, match="person_id"):
        read_event(b'{"id": "01a209c2-6895-7139-bb2d-2986d4d1a418", "source": "s", "type": "person.died.v1",'
                   b' "subject": "", "time": "2026-03-01T00:00:00Z", "data": {}}')  # fmt: skip
    with pytest.raises(UnreadableEvent, match="envelope"):
        read_event(b'{"specversion":"1.0","type":"person.died.v1","data":{"person_id"')


def test_bad_data_names_its_field() -> None:
    envelope = Envelope.model_validate(
        {
            "id": "01a209c2-6895-7139-bb2d-2986d4d1a418",
            "source": "/liangbu/matching",
            "type": "person.died.v1",
            "subject": "p1-x",
            "time": "2026-03-01T00:00:00Z",
            "data": {"person_id": "p1-x", "fact_id": "01a209c2-6895-7139-bb2d-2986d4d1a418", "source": "deaths"},
        }
    )
    with pytest.raises(UnreadableEvent, match=r"occurred_on, known_at"):
        read_data(envelope)


def test_an_old_version_of_an_event_stays_readable_by_its_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelopes, "_UPCASTERS", {})

    @upcaster("person.deceased.v1", "person.deceased.v2")
    def _renamed(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "occurred_on": data["on"]}

    @upcaster("person.deceased.v2", "person.died.v1")
    def _with_source(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "source": "deaths"}

    data = {"person_id": "p1-0", "fact_id": str(uuid4()), "on": "2026-03-01", "known_at": "2026-03-02T00:00:00Z"}
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    old = Envelope(
        id=uuid4(), source="/liangbu/matching", type="person.deceased.v1", subject="p1-0", time=moment, data=data
    )
    read = read_data(old)
    assert isinstance(read, PersonDied)
    assert (read.occurred_on, read.source) == (date(2026, 3, 1), "deaths")
    assert old.data == data, "the envelope stays as it came"

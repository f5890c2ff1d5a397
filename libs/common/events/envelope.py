"""CloudEvents 1.0 envelopes, in structured JSON, and the registry of every event there is.

An event is a public API. Its payload is a frozen model in the file of the service that produces it; its JSON schema is
stored in `docs/events/`; a change that breaks a stored schema fails the tests. A payload that must change incompatibly
gets a new type (`….v2`) and an upcaster, and the old type stays readable.

Two kinds of payload:

* `StateEvent` carries the full state of one aggregate and a growing `version`; a consumer keeps the newest. A
  `PortionEvent` carries that of many persons on a roster.
* `FactEvent` is one dated assertion about a person; facts fold by their own dates, never by arrival.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

PRODUCERS = ("intake", "matching", "eligibility", "disbursement", "notification")
BULK_PRODUCERS = ("intake", "eligibility")
"""Those with a bulk lane: rosters that are taken over, re-evaluations."""

Sealed = Annotated[str, Field(pattern=r"^sm4\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$", description="sealed, see privacy.py")]


class EventData(BaseModel):
    """The payload of one event type. `type` ends in `.v1`; `producer` names the service and so the topic."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    type: ClassVar[str]
    producer: ClassVar[str]
    is_sparse: ClassVar[bool] = False
    """Whether its text leaves out what is as by default, of the many that it tells of."""

    person_id: str

    @property
    def key(self) -> str:
        """The Kafka key: the person, or the aggregate's id where there is no person."""
        return self.person_id

    @property
    def aggregate(self) -> str:
        """What this event is a state of; after a broker is lost the last event of each aggregate is published again."""
        raise NotImplementedError

    @property
    def aggregate_version(self) -> int:
        return 1


class StateEvent(EventData):
    """Full state of an aggregate. `version` grows by at least one with every change and survives replays."""

    version: int = Field(ge=1)

    @property
    def aggregate_version(self) -> int:
        return self.version


class PortionEvent(StateEvent):
    """A portion of a roster that is taken over (存量接管): the same of each of many persons. `person_id` is empty."""

    is_sparse: ClassVar[bool] = True

    person_id: str = ""
    import_id: UUID
    portion: str = Field(description="names it among all portions of all rosters")

    @property
    def key(self) -> str:
        return self.portion


class FactEvent(EventData):
    """One dated assertion.

    `occurred_on` is the first day of the new state, except a death, whose day still counts as alive. `known_at` is
    when the source knew it. `source` names who asserts it; its rank is the reader's policy.
    """

    fact_id: UUID
    occurred_on: date
    known_at: datetime
    source: str
    area: str | None = None

    @property
    def aggregate(self) -> str:
        return f"fact:{self.fact_id}"


class Context(BaseModel):
    """CloudEvents 1.0 context attributes. `time` is when the producing transaction published it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = None

    @property
    def producer(self) -> str:
        return self.source.rsplit("/", 1)[-1]


class Envelope(Context):
    """The attributes around `data` of whatever type."""

    data: dict[str, Any]


class UnreadableEvent(ValueError):
    """The record is no event that this build can read."""


T = TypeVar("T", bound=EventData)

_REGISTRY: dict[str, type[EventData]] = {}
_UPCASTERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}


def event(cls: type[T]) -> type[T]:
    """Class decorator: makes the payload known under its `type`."""
    if cls.type in _REGISTRY:
        raise TypeError(f"event type {cls.type} is declared twice")
    if cls.producer not in PRODUCERS:
        raise TypeError(f"{cls.type}: unknown producer {cls.producer}")
    _REGISTRY[cls.type] = cls
    return cls


def upcaster(old_type: str, new_type: str) -> Callable[[Callable[[dict[str, Any]], dict[str, Any]]], None]:
    """Declares how the data of an old event type becomes the data of a newer one."""

    def register(convert: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        _UPCASTERS[old_type] = (new_type, convert)

    return register


def event_types() -> Mapping[str, type[EventData]]:
    """Every declared event type, by name."""
    return dict(_REGISTRY)


def topic_of(producer: str) -> str:
    return f"liangbu.{producer}"


def bulk_topic_of(producer: str) -> str:
    """The lane for what comes by the million, so that it never delays an urgent stop."""
    return f"liangbu.{producer}.bulk"


def write_envelope(
    data: EventData, *, event_id: UUID, source: str, time: datetime, traceparent: str | None = None
) -> str:
    """The record value that `read_envelope` reads. Put together by hand: the payload is serialised once, and fast."""
    trace = f'"traceparent":{json.dumps(traceparent)},' if traceparent else ""
    return (
        f'{{"specversion":"1.0","id":"{event_id}","source":"/liangbu/{source}","type":"{data.type}",'
        f'"subject":{json.dumps(data.key)},"time":"{time.isoformat()}","datacontenttype":"application/json",{trace}'
        f'"data":{data.model_dump_json(by_alias=True, exclude_defaults=data.is_sparse)}}}'
    )


def type_at_head(raw: bytes) -> str | None:
    """The event type that a record names first thing, as ours do."""
    found = _TYPE_AT_HEAD.search(raw, 0, _HEAD_BYTES)
    return found[1].decode() if found else None


def read_event(raw: bytes) -> tuple[Context, EventData]:
    """The attributes and the payload, upcast to the newest version of its type. UnreadableEvent says what is wrong.

    In one pass over the text where it names a type of today at its head: it takes twice as long by way of dictionaries,
    and of a portion of a roster that is most of the work."""
    typed = _typed_envelope(type_at_head(raw))
    if typed is not None:
        try:
            envelope: Any = typed.model_validate_json(raw)
        except ValidationError:
            pass  # what is wrong is told below
        else:
            return envelope, envelope.data
    found = read_envelope(raw)
    return found, read_data(found)


_HEAD_BYTES = 400
_TYPE_AT_HEAD = re.compile(rb'"type":\s*"([a-z_]+\.[a-z_]+\.v\d+)"')


@functools.cache
def _typed_envelope(event_type: str | None) -> type[Context] | None:
    """The envelope of a type of today; None of any other."""
    payload = _REGISTRY.get(event_type or "")
    if payload is None:
        return None
    only: Any = Literal[event_type]
    return create_model(payload.__name__, __base__=Context, type=(only, ...), data=(payload, ...))


def read_envelope(raw: bytes) -> Envelope:
    """The envelope of a Kafka record value. UnreadableEvent says what is wrong with it."""
    try:
        return Envelope.model_validate_json(raw)
    except ValidationError as error:
        raise UnreadableEvent(f"not a CloudEvents 1.0 envelope: {error.error_count()} problems") from error


def read_data(envelope: Envelope) -> EventData:
    """The payload, upcast to the newest version of its type. UnreadableEvent where type or data do not fit."""
    event_type, data = envelope.type, envelope.data
    while event_type in _UPCASTERS:
        event_type, convert = _UPCASTERS[event_type]
        data = convert(dict(data))
    payload = _REGISTRY.get(event_type)
    if payload is None:
        raise UnreadableEvent(f"unknown event type {envelope.type}")
    try:
        return payload.model_validate(data)
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in problem["loc"]) for problem in error.errors())
        raise UnreadableEvent(f"{envelope.type}: bad data at {fields}") from error

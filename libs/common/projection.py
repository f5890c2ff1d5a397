"""A projection: what a service makes of the events of others, each once, wherever they come from.

Handlers get all new events of their types in a batch at once and must not care about their order: state events carry a
version, facts fold by their own dates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from libs.common.clock import business_today
from libs.common.database import Database, Opening, Transaction
from libs.common.events.envelope import (
    Context,
    Envelope,
    EventData,
    UnreadableEvent,
    read_envelope,
    read_event,
    type_at_head,
)
from libs.common.period import Period
from libs.common.platform_schema import KEPT_MONTHS
from libs.common.telemetry import EVENTS_CONSUMED, EVENTS_REPEATED
from libs.common.watermark import WATERMARK_TYPE, Watermark


class Received(NamedTuple):
    """One event as a handler sees it: its envelope and its payload, already of the newest version."""

    envelope: Context
    data: Any

    @property
    def event_id(self) -> UUID:
        return self.envelope.id


Handler = Callable[[Transaction, Sequence[Received]], Awaitable[None]]


def of_each(handler: Handler, parts: Callable[[Any], Iterable[Any]]) -> Handler:
    """A handler of portions: what they tell of each of many persons is taken as if it had come by itself."""

    async def take(tx: Transaction, received: Sequence[Received]) -> None:
        if told := [item._replace(data=part) for item in received for part in parts(item.data)]:
            await handler(tx, told)

    return take


SetAside = Callable[[Transaction, Envelope], Awaitable[None]]
"""Told in the same transaction when an event that was wanted is dead-lettered, and when its letter is resolved."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which handler takes the events of a type."""

    data: type[EventData]
    handler: Handler


_MARK = text(
    "SELECT fresh, clock_timestamp() AS now"
    " FROM mark_applied(:projection, CAST(:months AS date[]), CAST(:ids AS uuid[])) AS fresh"
)
_ALONE = text("SELECT pg_advisory_xact_lock(7005)")


class Projection:
    """Applies deliveries to one projection (its own inbox), wherever they come from: the bus, a retry, a rebuild."""

    def __init__(
        self,
        database: Database,
        name: str,
        subscriptions: Sequence[Subscription],
        on_set_aside: SetAside | None = None,
    ) -> None:
        self.database = database
        self.name = name
        self._on_set_aside = on_set_aside
        self._handlers: Mapping[str, Handler] = {item.data.type: item.handler for item in subscriptions}

    def wants(self, envelope: Context) -> bool:
        return envelope.type in self._handlers

    def read(self, value: bytes) -> Received | Watermark | UnreadableEvent | None:
        """What a record's value says; None if that is nothing to this projection."""
        try:
            event_type = type_at_head(value) or read_envelope(value).type
            if event_type == WATERMARK_TYPE:
                return Watermark.model_validate(read_envelope(value).data)
            return Received(*read_event(value)) if event_type in self._handlers else None
        except UnreadableEvent as problem:
            return problem

    async def tell_set_aside(self, tx: Transaction, envelope: Envelope) -> None:
        """Lets the service know that the dead letters about this event's subject have changed."""
        if self._on_set_aside is not None and self.wants(envelope):
            await self._on_set_aside(tx, envelope)

    def marking(self, received: Sequence[Received]) -> Opening:
        """The statement that marks `received`; its one row has those that are new, as `fresh`."""
        oldest = Period.of(business_today()).plus(-KEPT_MONTHS).first_day
        times = {item.envelope.id: item.envelope.time for item in received}
        months = [max(moment.date().replace(day=1), oldest) for moment in times.values()]
        return _MARK, {"projection": self.name, "months": months, "ids": list(times)}

    async def apply(self, tx: Transaction, received: Sequence[Received]) -> None:
        """Marks `received`, and has the new ones among them taken."""
        marked = (await tx.connection.execute(*self.marking(received))).one()
        await self.take_fresh(tx, received, marked.fresh)

    async def take_fresh(self, tx: Transaction, received: Sequence[Received], fresh: Sequence[UUID]) -> None:
        """Has those of `received` taken that were marked as new."""
        EVENTS_REPEATED.labels(self.name).inc(len(received) - len(fresh))
        wanted = set(fresh)
        await self.take(tx, list({i.envelope.id: i for i in received if i.envelope.id in wanted}.values()))

    async def take(self, tx: Transaction, received: Sequence[Received]) -> None:
        """Hands the events to their handlers, whatever the inbox says."""
        by_handler: dict[Handler, list[Received]] = {}
        for item in received:
            by_handler.setdefault(self._handlers[item.envelope.type], []).append(item)
        for event_type, count in Counter(item.envelope.type for items in by_handler.values() for item in items).items():
            EVENTS_CONSUMED.labels(self.name, event_type).inc(count)
        for handler, items in by_handler.items():
            await handler(tx, items)

    async def hold_off(self, tx: Transaction) -> None:
        """Until the transaction ends nothing else is applied; waits for what is being applied."""
        await tx.connection.execute(_ALONE)


async def retry_dead_letter(tx: Transaction, projection: Projection, body: bytes) -> None:
    """Applies a dead letter's event once more, in the caller's transaction; raises what its handler raises."""
    await projection.apply(tx, [Received(*read_event(body))])

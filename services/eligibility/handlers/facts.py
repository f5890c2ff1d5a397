"""Taking what departments assert: stored once and for ever, then folded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from pydantic_core import to_json
from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.envelope import FactEvent
from libs.common.events.intake import PersonIdCorrected
from libs.common.events.matching import PersonMerged
from libs.common.projection import Received
from services.eligibility.folding import Assertion
from services.eligibility.handlers.entitlements import Recomputed, Told, recompute
from services.eligibility.sources import rank_of

_COMMON = frozenset(FactEvent.model_fields)


async def take_facts(tx: Transaction, received: Sequence[Received]) -> Recomputed:
    """Stores the assertions of a batch and recomputes the persons they speak of."""
    events: list[FactEvent] = [item.data for item in received]
    await tx.lock(*{event.person_id for event in events})
    await store_assertions(tx, ((event.person_id, event.source, _assertion(event)) for event in events))
    events.sort(key=lambda event: (event.known_at, event.occurred_on))
    causes = {event.person_id: event.type.removesuffix(".v1") for event in events}
    areas = {event.person_id: event.area for event in events if event.area}
    told: dict[str, list[Told]] = defaultdict(list)
    for event in events:
        told[event.person_id].append((str(event.fact_id), event.type.removesuffix(".v1")))
    several = {person_id: heard for person_id, heard in told.items() if len({kind for _, kind in heard}) > 1}
    return await recompute(tx, causes, areas=areas, told=several)


async def merge_persons(tx: Transaction, received: Sequence[Received]) -> None:
    """Takes two ids for one person from now on: the facts, applications and months of both are the survivor's."""
    for item in received:
        event: PersonMerged | PersonIdCorrected = item.data
        await tx.lock(event.person_id, event.into_person_id)
        root = await _survivor(tx, event.into_person_id)
        if root == event.person_id:
            continue  # the two were merged the other way round before; they are one already
        await tx.connection.execute(_MERGE, {"person_id": event.person_id, "root": root})
        await recompute(tx, {root: "person.merged"}, areas={})


async def store_assertions(tx: Transaction, given: Iterable[tuple[str, str, Assertion]]) -> None:
    """Adds assertions, each with its person and source; one that is stored already stays as it is."""
    told = [
        {
            "fact_id": assertion.fact_id,
            "person_id": person_id,
            "kind": assertion.kind,
            "since": assertion.on,
            "until": _until(assertion),
            "known_at": assertion.known_at,
            "source": source,
            "rank": assertion.rank,
            "data": assertion.data,
        }
        for person_id, source, assertion in given
    ]
    if told:
        await tx.connection.execute(_INSERT_ASSERTIONS, {"told": to_json(told).decode()})


def _assertion(event: FactEvent) -> Assertion:
    data = event.model_dump(mode="json", exclude=set(_COMMON), exclude_none=True, by_alias=True)
    kind = event.type.removesuffix(".v1")
    return Assertion(str(event.fact_id), kind, event.occurred_on, event.known_at, rank_of(event.source), data)


def _until(assertion: Assertion) -> date | None:
    """The last day that the source itself gave, if it gave one."""
    last = assertion.data.get("until") or assertion.data.get("expires_on")
    return None if last is None else date.fromisoformat(last)


async def _survivor(tx: Transaction, person_id: str) -> str:
    found = await tx.connection.execute(
        text("SELECT coalesce(merged_into, person_id) FROM persons WHERE person_id = :id"), {"id": person_id}
    )
    return found.scalar_one_or_none() or person_id


_INSERT_ASSERTIONS = text(
    """
    INSERT INTO assertions (fact_id, person_id, kind, valid, known_at, source, rank, data)
    SELECT fact_id, person_id, kind, daterange(since, until, '[]'), known_at, source, rank, data
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (fact_id uuid, person_id text, kind text, since date,
        until date, known_at timestamptz, source text, rank smallint, data jsonb)
    ON CONFLICT (fact_id) DO NOTHING
    """
)

_MERGE = text(
    """
    WITH named AS (
        INSERT INTO persons (person_id, lived_in, merged_into) VALUES (:person_id, '{}', :root)
        ON CONFLICT (person_id) DO UPDATE SET merged_into = excluded.merged_into
    )
    UPDATE persons SET merged_into = :root WHERE merged_into = :person_id
    """
)

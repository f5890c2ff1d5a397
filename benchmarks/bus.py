"""The bus beside its limits: `python -m benchmarks.bus [--events N] [--rounds N]`.

* relay: events a second from the outbox to acknowledged, beside a bare aiokafka producer sending the same bytes;
* consumer: events a second with inbox, effects and an outgoing event each, in one transaction a batch, beside a bare
  aiokafka loop that parses the same JSON and does the same batch insert.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sqlalchemy import text

from benchmarks.platform import Comparison, Stage, report, stage
from libs.common.consumer import Consumer
from libs.common.database import Database, Transaction
from libs.common.events.disbursement import PaymentFailed
from libs.common.events.matching import CertificateExpired
from libs.common.outbox import Relay, ensure_topics
from libs.common.period import Period
from libs.common.projection import Projection, Received, Subscription
from libs.common.service import settle_memory

# What a service that keeps facts stores of each: the shape of eligibility's assertions.
EFFECTS = """
CREATE TABLE effects (
    effect_id   bigserial PRIMARY KEY,
    fact_id     uuid NOT NULL UNIQUE,
    person_id   text NOT NULL,
    kind        text NOT NULL,
    occurred_on date NOT NULL,
    known_at    timestamptz NOT NULL,
    source      text NOT NULL,
    payload     jsonb NOT NULL
);
CREATE INDEX effects_by_person ON effects (person_id);
"""
INSERT_EFFECTS = text(
    "INSERT INTO effects (fact_id, person_id, kind, occurred_on, known_at, source, payload)"
    " SELECT * FROM unnest(CAST(:fact_ids AS uuid[]), CAST(:persons AS text[]), CAST(:kinds AS text[]),"
    " CAST(:days AS date[]), CAST(:known AS timestamptz[]), CAST(:sources AS text[]), CAST(:payloads AS jsonb[]))"
)


def fact(number: int) -> CertificateExpired:
    return CertificateExpired(
        person_id=f"p1-{number:032x}",
        fact_id=uuid4(),
        occurred_on=date(2026, 3, 15),
        known_at=datetime(2026, 3, 16, tzinfo=UTC),
        source="certificates",
        area="530102",
    )


async def take_facts(tx: Transaction, received: Sequence[Received]) -> None:
    """An effect and an outgoing event for each fact."""
    facts = [item.data for item in received]
    await tx.connection.execute(
        INSERT_EFFECTS,
        {
            "fact_ids": [item.fact_id for item in facts],
            "persons": [item.person_id for item in facts],
            "kinds": [item.type for item in facts],
            "days": [item.occurred_on for item in facts],
            "known": [item.known_at for item in facts],
            "sources": [item.source for item in facts],
            "payloads": [item.model_dump_json() for item in facts],
        },
    )
    for item in facts:
        tx.publish(
            PaymentFailed(
                person_id=item.person_id,
                version=1,
                payment_id=item.fact_id,
                subsidy="care",
                period=Period(2026, 3),
                amount_fen=11000,
                area="530102",
                status="failed",
                on=item.occurred_on,
            )
        )


async def insert_bare(tx: Transaction, events: list[dict[str, Any]]) -> None:
    facts = [event["data"] for event in events]
    await tx.connection.execute(
        INSERT_EFFECTS,
        {
            "fact_ids": [UUID(item["fact_id"]) for item in facts],
            "persons": [item["person_id"] for item in facts],
            "kinds": [event["type"] for event in events],
            "days": [date.fromisoformat(item["occurred_on"]) for item in facts],
            "known": [datetime.fromisoformat(item["known_at"]) for item in facts],
            "sources": [item["source"] for item in facts],
            "payloads": [json.dumps(item) for item in facts],
        },
    )


async def fill_outbox(database: Database, events: int) -> None:
    for start in range(0, events, 5000):
        async with database.transaction() as tx:
            for number in range(start, min(start + 5000, events)):
                tx.publish(fact(number))


async def time_relay(on: Stage, events: int) -> tuple[float, Database]:
    database = await on.database("matching")
    await fill_outbox(database, events)
    relay = Relay(database, on.settings)
    started = time.perf_counter()
    task = asyncio.create_task(relay.run())
    while not await _all_published(database):
        await asyncio.sleep(0.02)
    took_s = time.perf_counter() - started
    relay.stop()
    await task
    return events / took_s, database


async def _all_published(database: Database) -> bool:
    async with database.transaction() as tx:
        found = await tx.connection.execute(
            text("SELECT low = high AND low > (SELECT max(xid) FROM outbox) FROM relay_position")
        )
        return bool(found.scalar_one())


async def time_bare_producer(on: Stage, database: Database) -> float:
    async with database.transaction() as tx:
        found = (await tx.connection.execute(text("SELECT key, body FROM outbox ORDER BY seq"))).all()
    rows = [(row.key.encode(), row.body.encode()) for row in found]
    producer = AIOKafkaProducer(
        bootstrap_servers=on.broker.bootstrap, acks="all", linger_ms=20, max_batch_size=131072, enable_idempotence=False
    )
    await ensure_topics(on.settings, ["bare"])
    async with producer:
        started = time.perf_counter()
        for start in range(0, len(rows), 5000):
            sent = [await producer.send("bare", value, key=key) for key, value in rows[start : start + 5000]]
            await asyncio.gather(*sent)
        return len(rows) / (time.perf_counter() - started)


async def time_consumer(on: Stage, events: int) -> float:
    """From the first effect to the last: joining the group is the broker's time."""
    database = await on.database("eligibility", EFFECTS)
    projection = Projection(database, "eligibility", [Subscription(CertificateExpired, take_facts)])
    consumer = Consumer(projection, on.settings, ["liangbu.matching"])
    task = asyncio.create_task(consumer.run())
    rate = await _rate_of_effects(database, events)
    consumer.stop()
    await task
    await database.close()
    return rate


async def time_bare_loop(on: Stage, events: int) -> float:
    database = await on.database("eligibility", EFFECTS)
    rate, _ = await asyncio.gather(_rate_of_effects(database, events), _bare_loop(on, database, events))
    await database.close()
    return rate


async def _bare_loop(on: Stage, database: Database, events: int) -> None:
    consumer = AIOKafkaConsumer(
        "liangbu.matching",
        bootstrap_servers=on.broker.bootstrap,
        group_id=f"bare.{uuid4().hex[:6]}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=on.settings.kafka_fetch_wait_ms,
        max_partition_fetch_bytes=4 << 20,
    )
    taken = 0
    async with consumer:
        while taken < events:
            batch = await consumer.getmany(timeout_ms=200, max_records=500)
            read = [json.loads(record.value) for records in batch.values() for record in records]
            facts = [event for event in read if event["type"] == CertificateExpired.type]
            if facts:
                async with database.transaction() as tx:
                    await insert_bare(tx, facts)
                await consumer.commit()
                taken += len(facts)


async def _rate_of_effects(database: Database, events: int) -> float:
    first: tuple[float, int] | None = None
    while True:
        async with database.transaction() as tx:
            count = (await tx.connection.execute(text("SELECT coalesce(max(effect_id), 0) FROM effects"))).scalar_one()
        now = time.perf_counter()
        if first is None and count:
            first = (now, count)
        if first is not None and count >= events:
            return (count - first[1]) / (now - first[0])
        await asyncio.sleep(0.02)


async def main(events: int, rounds: int) -> None:
    relayed, produced, consumed, bare = [], [], [], []
    for _ in range(rounds):
        async with stage() as on:
            rate, database = await time_relay(on, events)
            relayed.append(rate)
            produced.append(await time_bare_producer(on, database))
            await database.close()
            consumed.append(await time_consumer(on, events))
            bare.append(await time_bare_loop(on, events))
    report(
        "bus",
        [
            Comparison("relay against a bare producer", "events/s", 0.5, relayed, produced),
            Comparison("consumer against a bare loop with the same insert", "events/s", 0.5, consumed, bare),
        ],
        events=events,
        rounds=rounds,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    settle_memory()  # as in every service, and for the limit's benefit too
    uvloop.run(main(arguments.events, arguments.rounds))

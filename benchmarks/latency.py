"""From an event to the stored decision: `python -m benchmarks.latency [--events N]`.

One fact after another is committed to matching's outbox; matching's relay publishes it, eligibility's consumer takes it
with the subscriptions of the service, and another connection looks every millisecond whether the new entitlement is
there. Beside it, measured in turn in the same run, the sum of what cannot be spared: the commit of one outbox row, the
relay's queries, a record acknowledged by the broker, a record fetched from it, and the decision judged and committed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.eligibility_events import AT, approvals, database_of, person_id, take
from benchmarks.platform import Comparison, Stage, report, stage
from libs.common.consumer import Consumer
from libs.common.database import Database, asyncpg_dsn, new_id
from libs.common.events.envelope import read_event, write_envelope
from libs.common.events.matching import CertificateExpired
from libs.common.outbox import Relay, ensure_topics
from libs.common.projection import Projection, Received
from libs.common.service import settle_memory
from services.eligibility.subscriptions import SUBSCRIPTIONS

WARM_UP = 20
LOOK_EVERY_S = 0.001
_RELAY_QUERIES = (
    "SELECT low::text, high::text, seq, pg_snapshot_xmin(pg_current_snapshot())::text FROM relay_position",
    "SELECT min(seq) FROM outbox WHERE xid >= pg_current_xact_id_if_assigned()",
    "SELECT seq, topic, key, body FROM outbox ORDER BY seq DESC LIMIT 1",
)


def expiry(number: int) -> CertificateExpired:
    return CertificateExpired(
        person_id=person_id(number),
        fact_id=new_id(),
        occurred_on=date(2026, 3, 1) + timedelta(days=number % 28),
        known_at=AT,
        source="certificates",
        area="530102",
    )


class Hops:
    """Each hop by itself, on connections and a topic of its own."""

    def __init__(self, matching: Database, eligibility: Database, persons: range) -> None:
        self._matching, self._eligibility = matching, eligibility
        self._persons = iter(persons)
        self.took_s: dict[str, list[float]] = defaultdict(list)

    @asynccontextmanager
    async def ready(self, on: Stage) -> AsyncIterator[Hops]:
        await ensure_topics(on.settings, ["bare"])
        consumer = AIOKafkaConsumer("bare", bootstrap_servers=on.broker.bootstrap, fetch_max_wait_ms=5)
        producer = AIOKafkaProducer(bootstrap_servers=on.broker.bootstrap, acks="all", enable_idempotence=False)
        relay = await asyncpg.connect(asyncpg_dsn(self._matching.url))
        async with producer, consumer:
            self._producer, self._consumer, self._relay = producer, consumer, relay
            yield self
        await relay.close()

    async def measure(self) -> float:
        """Once through all of them, in seconds; the commit of the outbox row is measured with the event itself."""
        data = expiry(next(self._persons))
        record = write_envelope(data, event_id=new_id(), source="matching", time=AT).encode()

        with self._timed("relay queries"):
            for query in _RELAY_QUERIES:
                await self._relay.fetch(query)
        fetched = asyncio.create_task(self._consumer.getone())
        await asyncio.sleep(0.01)  # the fetch is waiting at the broker already
        sent = time.perf_counter()
        await (await self._producer.send("bare", record, key=data.key.encode()))
        acknowledged = time.perf_counter()
        await fetched
        self.took_s["acknowledged"].append(acknowledged - sent)
        self.took_s["fetched"].append(max(time.perf_counter() - acknowledged, 0.0))
        with self._timed("judged and committed"):
            event = Received(*read_event(record))
            async with self._eligibility.transaction() as tx:
                projection = Projection(self._eligibility, "bare", SUBSCRIPTIONS)
                await projection.apply(tx, [event])
        return sum(times[-1] for times in self.took_s.values())

    def _timed(self, name: str) -> _Timer:
        return _Timer(self.took_s[name])


class _Timer:
    def __init__(self, into: list[float]) -> None:
        self._into = into

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._into.append(time.perf_counter() - self._started)


async def one_event(matching: Database, looking: asyncpg.Connection, number: int) -> tuple[float, float]:
    """Seconds until the outbox row was committed, and until the decision was there to see."""
    data = expiry(number)
    started = time.perf_counter()
    async with matching.transaction() as tx:
        tx.publish(data)
    committed_s = time.perf_counter() - started
    while not await looking.fetchval(
        "SELECT EXISTS (SELECT FROM entitlements WHERE person_id = $1 AND version > 1)", data.person_id
    ):
        await asyncio.sleep(LOOK_EVERY_S)
    return committed_s, time.perf_counter() - started


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def main(events: int) -> None:
    async with stage() as on:
        matching, eligibility = await on.database("matching"), await database_of(on)
        persons = 2 * (events + WARM_UP)
        await take(eligibility, approvals(persons))
        relay = Relay(matching, on.settings)
        projection = Projection(eligibility, "eligibility", SUBSCRIPTIONS)
        consumer = Consumer(projection, on.settings, ["liangbu.intake", "liangbu.matching"])
        running = [asyncio.create_task(part.run()) for part in (relay, consumer)]
        looking = await asyncpg.connect(asyncpg_dsn(eligibility.url))
        whole_s, commits_s, hops_s = [], [], []
        async with Hops(matching, eligibility, range(persons // 2, persons)).ready(on) as hops:
            for number in range(events + WARM_UP):
                apart_s = await hops.measure()
                committed_s, took_s = await one_event(matching, looking, number)
                if number >= WARM_UP:  # joining the group and first statements are the start's time
                    whole_s.append(took_s)
                    commits_s.append(committed_s)
                    hops_s.append(apart_s + committed_s)
                await asyncio.sleep(random.uniform(0, 0.02))
        for part in (relay, consumer):
            part.stop()
        await asyncio.gather(*running)
        await looking.close()
        for database in (matching, eligibility):
            await database.close()
    parts = {"outbox row committed": commits_s, **{name: took[WARM_UP:] for name, took in hops.took_s.items()}}
    p50_ms, p99_ms = (quantile(whole_s, share) * 1e3 for share in (0.5, 0.99))
    hops_ms = statistics.median(hops_s) * 1e3
    report(
        "latency",
        [
            Comparison(f"{name} against the sum of its hops", "a second", 1 / 3, [1e3 / ms], [1e3 / hops_ms])
            for name, ms in (("p50", p50_ms), ("p99", p99_ms))
        ],
        p50_ms=round(p50_ms, 1),
        p99_ms=round(p99_ms, 1),
        hops_ms={name: round(statistics.median(took) * 1e3, 2) for name, took in parts.items()},
        sum_of_hops_ms=round(hops_ms, 1),
        p99_of_the_sum_ms=round(quantile(hops_s, 0.99) * 1e3, 1),
        p99_over_sum=round(p99_ms / hops_ms, 2),
        events=events,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300)
    settle_memory()
    uvloop.run(main(parser.parse_args().events))

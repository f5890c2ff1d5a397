"""The tables that every service has besides its own; each service's first migration creates them.

`outbox` and `inbox` are partitioned by month and kept equally long. An inbox mark lies in the month of its event, not
of its arrival, so that one event has one place however late it is delivered again.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sqlalchemy import Connection, text

from libs.common.database import Transaction
from libs.common.period import Period, business_date

KEPT_MONTHS = 7
"""Outbox and inbox of this many past months are kept: logs for at least six months (GB/T 22239-2019)."""

_AHEAD_MONTHS = 2
_WHOLE = "WITH (toast_tuple_target = 8160)"
"""An event stays in its row as long as it fits a page: sealed texts are compressed in vain, at three times the cost."""

PLATFORM_V1 = """
CREATE TABLE outbox (
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    created_on date NOT NULL DEFAULT CURRENT_DATE,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_id   uuid NOT NULL,
    topic      text NOT NULL,
    key        text NOT NULL,
    type       text NOT NULL,
    aggregate  text NOT NULL,
    version    bigint NOT NULL CHECK (version > 0),
    body       text NOT NULL,
    PRIMARY KEY (seq, created_on)
) PARTITION BY RANGE (created_on);
CREATE INDEX outbox_by_xid ON outbox (xid, seq);

-- One row: how far the relay has published. Rows with low <= xid < high are being published in the order of seq.
CREATE TABLE relay_position (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    low         xid8 NOT NULL,
    high        xid8 NOT NULL,
    seq         bigint NOT NULL,
    incarnation uuid NOT NULL DEFAULT uuidv7(),
    offsets     jsonb NOT NULL DEFAULT '{}',
    replaying   boolean NOT NULL DEFAULT false,
    replay_requested boolean NOT NULL DEFAULT false
);
INSERT INTO relay_position (low, high, seq) VALUES ('0', '0', 0);

CREATE TABLE inbox (
    projection text NOT NULL,
    month      date NOT NULL CHECK (month = date_trunc('month', month)),
    event_id   uuid NOT NULL,
    PRIMARY KEY (projection, month, event_id)
) PARTITION BY RANGE (month);

-- Marks these events as applied to a projection, beside others but not while a rebuild is alone (7005); the new ones.
CREATE FUNCTION mark_applied(to_projection text, months date[], ids uuid[])
RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE fresh uuid[]; \
BEGIN PERFORM pg_advisory_xact_lock_shared(7005); \
WITH marked AS (INSERT INTO inbox (projection, month, event_id) \
SELECT to_projection, * FROM unnest(months, ids) ON CONFLICT DO NOTHING RETURNING event_id) \
SELECT array_agg(event_id) INTO fresh FROM marked; \
RETURN coalesce(fresh, '{}'); END $$;

-- Up to when everything that a topic's service accepted has been read from each partition, and which log that was.
CREATE TABLE watermarks (
    reader      text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    until       timestamptz,
    incarnation uuid,
    PRIMARY KEY (reader, topic, partition)
);

CREATE TABLE dead_letters (
    dead_letter_id uuid PRIMARY KEY DEFAULT uuidv7(),
    projection     text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint NOT NULL,
    event_id       uuid,
    type           text,
    body           bytea NOT NULL,
    reason         text NOT NULL,
    attempts       integer NOT NULL DEFAULT 1,
    failed_at      timestamptz NOT NULL DEFAULT now(),
    resolved_at    timestamptz,
    UNIQUE NULLS NOT DISTINCT (projection, event_id, topic, partition, "offset")
);

CREATE TABLE idempotency_keys (
    sub        text NOT NULL,
    route      text NOT NULL,
    key        text NOT NULL,
    digest     text NOT NULL,
    status     integer NOT NULL,
    headers    jsonb NOT NULL,
    body       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sub, route, key)
);

-- The first answer under a key, behind the key's lock; a twin waits for it so long. In one call: a round trip, and, as
-- each statement of the function sees what was committed when it starts, the answer of the twin that it waited for.
CREATE FUNCTION first_answer(by_sub text, on_route text, under_key text, wait text)
RETURNS SETOF idempotency_keys LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('lock_timeout', wait, true); \
PERFORM pg_advisory_xact_lock(hashtextextended(by_sub || '|' || on_route || '|' || under_key, 7003)); \
PERFORM set_config('lock_timeout', '0', true); \
RETURN QUERY SELECT * FROM idempotency_keys i WHERE i.sub = by_sub AND i.route = on_route AND i.key = under_key; END $$;

-- NULL if nobody used or uses this key, else false: a twin at work is not waited for here. Behind the key's lock.
CREATE FUNCTION key_in_use(by_sub text, on_route text, under_key text)
RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN IF NOT pg_try_advisory_xact_lock(hashtextextended(by_sub || '|' || on_route || '|' || under_key, 7003)) \
OR EXISTS (SELECT FROM idempotency_keys i WHERE i.sub = by_sub AND i.route = on_route AND i.key = under_key) \
THEN RETURN 'false'; END IF; RETURN NULL; END $$;

-- Serialises writers of these persons or aggregates until the transaction ends. In buckets, which bounds the lock table
-- when a bulk job locks ten thousand persons (ADR 0005), and in a fixed order.
CREATE FUNCTION lock_keys(keys text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(7001, bucket) FROM (SELECT DISTINCT \
abs(hashtextextended(key, 0) % 1024)::int AS bucket FROM unnest(keys) AS key ORDER BY 1) AS sorted; END $$;

CREATE TABLE audit_log (
    entry_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    sub        text NOT NULL,
    role       text NOT NULL,
    area       text NOT NULL,
    action     text NOT NULL,
    object     text NOT NULL,
    person_id  text,
    reason     text,
    detail     jsonb NOT NULL DEFAULT '{}',
    request_id text
);
CREATE INDEX audit_log_by_person ON audit_log (person_id, entry_id) WHERE person_id IS NOT NULL;

-- Which daily task ran for which date, and how much was due.
CREATE TABLE daily_runs (
    task    text NOT NULL,
    as_of   date NOT NULL,
    done    bigint NOT NULL,
    ran_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (task, as_of)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


PLATFORM_V1_STATEMENTS = [statement for statement in PLATFORM_V1.split(";\n") if statement.strip()]
"""One by one, as prepared statements need them; the function's body has no semicolon at the end of a line."""


async def ensure_month_partitions(tx: Transaction, as_of: date) -> int:
    """Makes the partitions of this month and the next two, and of the months kept, of outbox and inbox; how many there
    are of each."""
    this = Period.of(as_of)
    periods = list(this.plus(-KEPT_MONTHS).through(this.plus(_AHEAD_MONTHS)))
    for period in periods:
        for table, stored in (("outbox", _WHOLE), ("inbox", "")):
            await tx.connection.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {table}_{period.year}_{period.month:02d} PARTITION OF {table}"
                    f" FOR VALUES FROM ('{period.first_day}') TO ('{period.next.first_day}') {stored}"
                )
            )
    return len(periods)


_CARRY_OVER = """
INSERT INTO outbox (event_id, topic, key, type, aggregate, version, body)
SELECT event_id, topic, key, type, aggregate, version, body FROM {partition} AS o
WHERE NOT EXISTS (
    SELECT FROM outbox AS newer
    WHERE newer.aggregate = o.aggregate AND (newer.version, newer.seq) > (o.version, o.seq)
)
ORDER BY seq
"""


async def drop_old_partitions(tx: Transaction, as_of: date) -> int:
    """Drops outbox and inbox months older than KEPT_MONTHS, both alike; how many partitions went. A date to come does
    not make today's log old.

    What was the newest event of its aggregate goes into the outbox anew: the last state of each can always be told.
    """
    oldest = Period.of(min(as_of, business_date(tx.now))).plus(-KEPT_MONTHS)
    names = (
        await tx.connection.execute(
            text(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                " WHERE i.inhparent IN ('outbox'::regclass, 'inbox'::regclass)"
            )
        )
    ).scalars()
    dropped = 0
    for name in list(names):
        year, month = name.rsplit("_", 2)[1:]
        if Period(int(year), int(month)) < oldest:
            if name.startswith("outbox"):
                await tx.connection.execute(text(_CARRY_OVER.format(partition=name)))
            await tx.connection.execute(text(f'DROP TABLE "{name}"'))
            dropped += 1
    return dropped


def create(connection: Connection) -> None:
    """Creates the platform's tables: the first step of every service's first migration."""
    for statement in PLATFORM_V1_STATEMENTS:
        connection.exec_driver_sql(statement)


def run_script(connection: Connection, script: Path) -> None:
    """All statements of an SQL file; through asyncpg itself, which takes many at once."""
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.run_async(lambda asyncpg: asyncpg.execute(script.read_text("utf-8")))

"""The SMS platform's books: texts accepted once per id, decided by the network a moment later, told in receipts.

The office's own messages go through it. It shares this process with the bank because both are the outside world of a
demonstration; what it serves stands under `/sms/v1`, with a key, faults and books of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Annotated, Any
from uuid import uuid4

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from services.onecard_mock.outcomes import AnswerFaults, Rate

DELIVERY_TIME = timedelta(milliseconds=200)
_RECEIPTS_AT_ONCE = 100
_REORDER_WITHIN_S = 1.0


class TextOrder(BaseModel):
    model_config = ConfigDict(extra="ignore")

    message_id: Annotated[str, Field(min_length=1, max_length=100)]
    phone: Annotated[str, Field(pattern=r"^1\d{10}$")]
    text: Annotated[str, Field(min_length=1, max_length=500)]


class TextFaults(AnswerFaults):
    """What goes wrong, for tests. Everything is right by default."""

    timeout_after_accept_rate: Rate = Field(default=0, description="accepts the text and never answers")
    lose_after_accept_rate: Rate = Field(default=0, description="accepts the text and never does anything more")
    refuse_phones: list[str] = Field(default=[], description="numbers that are not accepted")
    fail_phones: dict[str, str] = Field(default={}, description="numbers that the network cannot reach, and why")
    drop_receipt_rate: Rate = Field(default=0, description="the receipt is lost; asking still tells")
    duplicate_receipt_rate: Rate = Field(default=0, description="the receipt is sent twice")
    missing_field_rate: Rate = Field(default=0, description="the receipt lacks its status")
    late_receipt_s: float = Field(default=0, ge=0, le=3600, description="receipts come this much later")
    reorder: bool = Field(default=False, description="receipts come in any order")


class Texts:
    """All that the platform remembers. Every method is one database transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._dice = Random()  # noqa: S311 (faults, not secrets)

    async def faults(self) -> TextFaults:
        stored = await self._pool.fetchval("SELECT faults FROM faults WHERE party = 'sms'")
        return TextFaults.model_validate_json(stored) if stored else TextFaults()

    async def set_faults(self, faults: TextFaults) -> None:
        await self._pool.execute(
            "INSERT INTO faults VALUES ('sms', $1) ON CONFLICT (party) DO UPDATE SET faults = excluded.faults",
            faults.model_dump_json(),
        )

    async def accept(self, order: TextOrder, now: datetime, faults: TextFaults) -> Mapping[str, Any]:
        """The text as it stands now; one that is known by its id is not sent again."""
        is_lost = self._dice.random() < faults.lose_after_accept_rate
        await self._pool.execute(
            "INSERT INTO texts (message_id, phone, text, accepted_at, due_at) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (message_id) DO NOTHING",
            *(order.message_id, order.phone, order.text, now, None if is_lost else now + DELIVERY_TIME),
        )
        found = await self.find(order.message_id)
        assert found is not None
        return found

    async def find(self, message_id: str) -> Mapping[str, Any] | None:
        row = await self._pool.fetchrow("SELECT status, reason FROM texts WHERE message_id = $1", message_id)
        return None if row is None else {name: value for name, value in row.items() if value is not None}

    async def decide_due(self, now: datetime, faults: TextFaults) -> int:
        """Delivers or fails what is due by `now`, and queues the receipts; how many."""
        async with self._pool.acquire() as connection, connection.transaction():
            decided = await connection.fetch(
                "UPDATE texts AS t SET status = CASE WHEN f.reason IS NULL THEN 'delivered' ELSE 'failed' END,"
                " reason = f.reason, due_at = NULL, finished_at = $1"
                " FROM (SELECT message_id, phone FROM texts WHERE due_at <= $1"
                " ORDER BY due_at LIMIT 1000 FOR UPDATE SKIP LOCKED) AS d"
                " LEFT JOIN jsonb_each_text($2::jsonb) AS f (phone, reason) ON f.phone = d.phone"
                " WHERE t.message_id = d.message_id RETURNING t.message_id, t.status, t.reason",
                *(now, json.dumps(faults.fail_phones)),
            )
            receipts = [self._receipt(row, now, faults) for row in decided]
            await connection.executemany(
                "INSERT INTO webhooks (webhook_id, receiver, body, created_at, due_at) VALUES ($1, 'sms', $2, $3, $4)",
                [
                    (f"msg_{uuid4().hex}", _body(some, now), now, self._telling_time(now, faults))
                    for some in self._bundles(receipts, faults)
                ],
            )
        return len(decided)

    def _receipt(self, row: asyncpg.Record, now: datetime, faults: TextFaults) -> dict[str, Any]:
        receipt = {name: value for name, value in row.items() if value is not None} | {"at": now.isoformat()}
        if self._dice.random() < faults.missing_field_rate:
            del receipt["status"]
        return receipt

    def _bundles(self, receipts: Sequence[dict[str, Any]], faults: TextFaults) -> list[list[dict[str, Any]]]:
        """The receipts as they are told: many at once, as platforms do; one by one where their order is to be lost."""
        told = [receipt for receipt in receipts if self._dice.random() >= faults.drop_receipt_rate]
        told += [receipt for receipt in told if self._dice.random() < faults.duplicate_receipt_rate]
        size = 1 if faults.reorder else _RECEIPTS_AT_ONCE
        return [list(told[start : start + size]) for start in range(0, len(told), size)]

    def _telling_time(self, now: datetime, faults: TextFaults) -> datetime:
        shuffled_s = self._dice.uniform(0, _REORDER_WITHIN_S) if faults.reorder else 0
        return now + timedelta(seconds=faults.late_receipt_s + shuffled_s)

    async def listed(self, phone: str | None, message_id: str | None) -> list[dict[str, Any]]:
        found = await self._pool.fetch(
            "SELECT * FROM texts WHERE ($1::text IS NULL OR phone = $1) AND ($2::text IS NULL OR message_id = $2)"
            " ORDER BY accepted_at, message_id",
            *(phone, message_id),
        )
        return [dict(row) for row in found]


def _body(receipts: Sequence[dict[str, Any]], now: datetime) -> str:
    told = {"type": "sms.receipts", "timestamp": now.isoformat(), "data": {"receipts": receipts}}
    return json.dumps(told, ensure_ascii=False)

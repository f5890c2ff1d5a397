"""The bank's books in PostgreSQL: batches in, transfers settled, webhooks and SMS out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Annotated, Any
from uuid import uuid4

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from libs.common.period import Period, business_date
from services.onecard_mock.outcomes import DETAILS, Faults, failure_of, return_of, sms_text

SETTLING_TIME = timedelta(milliseconds=200)
RETURNING_TIME = timedelta(milliseconds=500)
_REORDER_WITHIN_S = 1.0

Text = Annotated[str, Field(min_length=1, max_length=100)]


class Item(BaseModel):
    """One transfer asked for. `period_text` is what the SMS names as the period paid for."""

    model_config = ConfigDict(extra="ignore")

    payment_id: Text
    payee_name: Text
    account: Annotated[str, Field(min_length=1, max_length=34)]
    bank: Text
    amount_fen: int = Field(gt=0, le=10**10)
    period_text: Text
    phone: str | None = Field(default=None, max_length=20)


class Batch(BaseModel):
    model_config = ConfigDict(extra="ignore")

    batch_id: Text
    period: Period
    department: Text
    project: Text
    items: list[Item] = Field(min_length=1, max_length=5000)


class Appropriation(BaseModel):
    """Money that a department has the bank pay from."""

    department: Text
    amount_fen: int = Field(gt=0, le=10**15)
    document_no: Text


class BalanceShort(Exception):
    """The batch comes to more than its department's account holds."""


class BatchChanged(Exception):
    """This batch_id was accepted with another content."""


class PaymentChanged(Exception):
    """This payment_id was accepted with another account or amount."""


class Books:
    """All that the bank remembers. Every method is one database transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._dice = Random()  # noqa: S311 (faults, not secrets)

    async def faults(self) -> Faults:
        stored = await self._pool.fetchval("SELECT faults FROM faults WHERE party = 'onecard'")
        return Faults.model_validate_json(stored) if stored else Faults()

    async def set_faults(self, faults: Faults) -> None:
        await self._pool.execute(
            "INSERT INTO faults VALUES ('onecard', $1) ON CONFLICT (party) DO UPDATE SET faults = excluded.faults",
            faults.model_dump_json(),
        )

    async def accept(self, batch: Batch, now: datetime) -> list[str]:
        """Accepts what is new in the batch; the payments that were known already. `BalanceShort`, `BatchChanged`,
        `PaymentChanged`."""
        digest = hashlib.sha256(batch.model_dump_json().encode()).hexdigest()
        columns = list(zip(*[(i.payment_id, i.account, i.amount_fen) for i in batch.items], strict=True))
        async with self._pool.acquire() as connection, connection.transaction():
            # Of two batches of a department each sees what the other takes out of its account.
            await connection.execute("SELECT FROM appropriations WHERE department = $1 FOR UPDATE", batch.department)
            is_new = await connection.fetchval(
                "INSERT INTO batches (batch_id, digest, period, department, project, accepted_at)"
                " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING true",
                *(batch.batch_id, digest, str(batch.period), batch.department, batch.project, now),
            )
            if not is_new:
                if digest != await connection.fetchval(
                    "SELECT digest FROM batches WHERE batch_id = $1", batch.batch_id
                ):
                    raise BatchChanged
                return [item.payment_id for item in batch.items]
            new = await connection.fetch(
                "INSERT INTO transfers (payment_id, batch_id, payee_name, account, bank, amount_fen, period_text,"
                " phone, accepted_at, due_at) SELECT i.payment_id, $1, i.payee_name, i.account, i.bank, i.amount_fen,"
                " i.period_text, i.phone, $3, $4 FROM jsonb_to_recordset($2::jsonb) AS i (payment_id text,"
                " payee_name text, account text, bank text, amount_fen bigint, period_text text, phone text)"
                " ON CONFLICT (payment_id) DO NOTHING RETURNING payment_id",
                *(batch.batch_id, json.dumps([i.model_dump() for i in batch.items]), now, now + SETTLING_TIME),
            )
            changed = await connection.fetchval(
                "SELECT count(*) FROM unnest($1::text[], $2::text[], $3::bigint[])"
                " AS i (payment_id, account, amount_fen) JOIN transfers t USING (payment_id)"
                " WHERE (t.account, t.amount_fen) <> (i.account, i.amount_fen)",
                *columns,
            )
            if changed:
                raise PaymentChanged
            if await connection.fetchval(
                "SELECT balance_fen < 0 FROM accounts WHERE department = $1", batch.department
            ):
                raise BalanceShort
            await connection.execute(
                "INSERT INTO batch_items (batch_id, position, payment_id)"
                " SELECT $1, position, payment_id FROM unnest($2::text[]) WITH ORDINALITY AS i (payment_id, position)",
                *(batch.batch_id, columns[0]),
            )
        accepted = {row["payment_id"] for row in new}
        return [item.payment_id for item in batch.items if item.payment_id not in accepted]

    async def appropriate(self, given: Appropriation, now: datetime) -> None:
        """The same document again is the same transfer."""
        await self._pool.execute(
            "INSERT INTO appropriations (department, document_no, amount_fen, received_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING",
            *(given.department, given.document_no, given.amount_fen, now),
        )

    async def accounts(self) -> list[dict[str, Any]]:
        return _dicts(await self._pool.fetch("SELECT * FROM accounts ORDER BY department"))

    async def settle_due(self, now: datetime, faults: Faults) -> int:
        """Settles, fails and returns what is due by `now`, with webhooks and SMS; how many transfers moved."""
        async with self._pool.acquire() as connection, connection.transaction():
            due = await connection.fetch(
                "SELECT t.*, b.project, b.department FROM transfers t JOIN batches b USING (batch_id)"
                " WHERE t.due_at <= $1 ORDER BY t.due_at LIMIT 1000 FOR UPDATE OF t SKIP LOCKED",
                now,
            )
            outcomes = [self._outcome(row, now, faults) for row in due]
            await connection.executemany(
                "UPDATE transfers SET status = $2, code = $3, bank_ref = $4, settled_on = $5, failed_on = $6,"
                " returned_on = $7, due_at = $8 WHERE payment_id = $1",
                [outcome.transfer for outcome in outcomes],
            )
            await connection.executemany(
                "INSERT INTO sms (payment_id, phone, text, sent_at) VALUES ($1, $2, $3, $4)",
                [outcome.sms for outcome in outcomes if outcome.sms],
            )
            await connection.executemany(
                "INSERT INTO webhooks (webhook_id, receiver, body, created_at, due_at)"
                " VALUES ($1, 'onecard', $2, $3, $4)",
                [
                    (f"msg_{uuid4().hex}", body, now, self._delivery_time(now, faults))
                    for outcome in outcomes
                    for body in outcome.webhooks
                ],
            )
        return len(due)

    def _delivery_time(self, now: datetime, faults: Faults) -> datetime:
        return now + timedelta(seconds=self._dice.uniform(0, _REORDER_WITHIN_S)) if faults.reorder else now

    def _outcome(self, row: asyncpg.Record, now: datetime, faults: Faults) -> _Outcome:
        today = business_date(now)
        payment_id: str = row["payment_id"]
        if row["status"] == "settled":
            code = row["code"] or return_of(row["account"], faults) or "closed"
            return _Outcome(
                transfer=(payment_id, "returned", code, row["bank_ref"], row["settled_on"], None, today, None),
                webhooks=[_webhook("payment.returned", now, payment_id=payment_id, code=code, returned_on=str(today))],
            )
        failed = failure_of(row["account"], faults)
        if failed:
            return _Outcome(
                transfer=(payment_id, "failed", failed, None, None, today, None, None),
                webhooks=[_webhook("payment.failed", now, payment_id=payment_id, code=failed, detail=DETAILS[failed])],
            )
        bank_ref = uuid4().hex[:20].upper()
        returns_at = now + RETURNING_TIME if return_of(row["account"], faults) else None
        text = sms_text(
            project=row["project"],
            amount_fen=row["amount_fen"],
            settled_on=today,
            department=row["department"],
            period_text=row["period_text"],
            faults=faults,
            dice=self._dice,
        )
        return _Outcome(
            transfer=(payment_id, "settled", None, bank_ref, today, None, None, returns_at),
            sms=(payment_id, row["phone"], text, now),
            webhooks=[
                _webhook("payment.settled", now, payment_id=payment_id, settled_on=str(today), bank_ref=bank_ref),
                _webhook("sms.sent", now, payment_id=payment_id, text=text, sent_at=now.isoformat()),
            ],
        )

    async def webhooks_due(self, now: datetime, receiver: str, limit: int) -> list[tuple[str, str, int]]:
        """(webhook_id, body, attempts so far) of what is to be delivered to a receiver by `now`, oldest first."""
        found = await self._pool.fetch(
            "SELECT webhook_id, body, attempts FROM webhooks WHERE due_at <= $1 AND receiver = $2"
            " ORDER BY due_at LIMIT $3",
            *(now, receiver, limit),
        )
        return [(row["webhook_id"], row["body"], row["attempts"]) for row in found]

    async def webhook_done(self, webhook_id: str, now: datetime) -> None:
        await self._pool.execute(
            "UPDATE webhooks SET due_at = NULL, delivered_at = $2, attempts = attempts + 1 WHERE webhook_id = $1",
            *(webhook_id, now),
        )

    async def webhook_failed(self, webhook_id: str, again_at: datetime | None) -> None:
        """`again_at` None: it is lost for good."""
        await self._pool.execute(
            "UPDATE webhooks SET due_at = $2, attempts = attempts + 1 WHERE webhook_id = $1", webhook_id, again_at
        )

    async def statement(self, batch_id: str) -> dict[str, Any] | None:
        """What became of every payment that the batch asked for."""
        batch = await self._pool.fetchrow("SELECT batch_id, period, project FROM batches WHERE batch_id = $1", batch_id)
        if batch is None:
            return None
        items = await self._pool.fetch(
            "SELECT t.payment_id, t.amount_fen, t.status, t.code, t.bank_ref, t.settled_on, t.failed_on, t.returned_on"
            " FROM batch_items i JOIN transfers t USING (payment_id) WHERE i.batch_id = $1 ORDER BY i.position",
            batch_id,
        )
        return {**dict(batch), "items": _dicts(items)}

    async def accepted_since(self, since: datetime | None, after: str | None, limit: int) -> list[dict[str, Any]]:
        """What was accepted from a moment on, in the order of acceptance, behind the payment `after`."""
        found = await self._pool.fetch(
            "SELECT t.payment_id, t.batch_id, b.period, b.project, t.period_text, t.amount_fen, t.status, t.code,"
            " t.bank_ref, t.settled_on, t.failed_on, t.returned_on FROM transfers t JOIN batches b USING (batch_id)"
            " WHERE ($1::timestamptz IS NULL OR t.accepted_at >= $1) AND ($2::text IS NULL OR"
            " (t.accepted_at, t.payment_id) > (SELECT accepted_at, payment_id FROM transfers WHERE payment_id = $2))"
            " ORDER BY t.accepted_at, t.payment_id LIMIT $3",
            *(since, after, limit),
        )
        return _dicts(found)

    async def transfers(self, *, status: str | None, payment_id: str | None) -> list[dict[str, Any]]:
        found = await self._pool.fetch(
            "SELECT payment_id, batch_id, payee_name, account, bank, amount_fen, period_text, phone, status, code,"
            " bank_ref, accepted_at, settled_on, failed_on, returned_on FROM transfers"
            " WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR payment_id = $2)"
            " ORDER BY accepted_at, payment_id",
            *(status, payment_id),
        )
        return _dicts(found)

    async def sms(self, *, payment_id: str | None) -> list[dict[str, Any]]:
        found = await self._pool.fetch(
            "SELECT payment_id, phone, text, sent_at FROM sms"
            " WHERE $1::text IS NULL OR payment_id = $1 ORDER BY sms_id",
            payment_id,
        )
        return _dicts(found)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The new state of one transfer (in the order of the UPDATE above) and what the bank tells about it."""

    transfer: tuple[Any, ...]
    webhooks: list[str]
    sms: tuple[Any, ...] | None = None


def _webhook(event_type: str, now: datetime, **data: str) -> str:
    return json.dumps({"type": event_type, "timestamp": now.isoformat(), "data": data}, ensure_ascii=False)


def _dicts(found: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    return [dict(row) for row in found]

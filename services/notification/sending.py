"""Messages leave: claimed in one transaction, sent outside any, recorded in another.

A message that was claimed and whose end is not known (a crash, a timeout) is sent again under the same message id, by
which the provider tells it apart; it never reaches a person twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, text, update

from libs.common.database import Database, Transaction, is_transient, rows
from libs.common.events.notification import MessageFailed, ReminderDelivered
from libs.common.period import business_date
from libs.common.privacy import Sealer
from services.notification.sms import NoAnswer, Receipt, SmsProvider
from services.notification.tables import messages
from services.notification.texts import DEATHS

log = structlog.get_logger(__name__)

_BATCH = 200
_AT_ONCE = 8
_POLL_S = 1.0
_LEASE = timedelta(seconds=60)
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=30)
_NO_PROVIDER_PAUSE = timedelta(minutes=10)
MOST_ATTEMPTS = 20
"""With the pauses between them about seven hours: a provider that is down overnight loses nothing."""

NO_PROVIDER = "no provider configured"


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message in hand: to be sent, or, if `sent`, to be asked about. `phone` is sealed for its place."""

    message_id: UUID
    person_id: str
    kind: str
    subject_id: UUID | None
    text: str
    sent: bool
    attempts: int
    phone: str | None
    own_phone: bool
    died: bool

    @property
    def needs_letter(self) -> bool:
        """Whoever has no phone gets a letter; so does the family of a person who died."""
        return not self.sent and (self.phone is None or self.died)

    def open_phone(self, sealer: Sealer) -> str:
        place = ("messages", self.message_id) if self.own_phone else ("contacts", self.person_id)
        return sealer.open(self.phone or "", *place, "phone")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a claimed message. No receipt and a `reason`: it is not known."""

    message: Claimed
    receipt: Receipt | None
    reason: str | None = None


class Sending:
    """The worker. Without a provider it finds out who needs a letter, and says why the others wait."""

    def __init__(self, database: Database, sealer: Sealer, provider: SmsProvider | None) -> None:
        self._database, self._sealer, self._provider = database, sealer, provider
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            handled = 0
            try:
                handled = await self.step()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("sending_waits", error=type(error).__name__)
            if handled < _BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _POLL_S)

    def stop(self) -> None:
        self._stopping.set()

    async def step(self) -> int:
        """One round over a batch; how many messages were in hand."""
        async with self._database.transaction() as tx:
            claimed = await claim(tx)
            for message in claimed:
                if message.needs_letter:
                    await _needs_letter(tx, message)
                elif self._provider is None:
                    await _wait(tx, message, NO_PROVIDER, _NO_PROVIDER_PAUSE)
        if self._provider is None:
            return len(claimed)
        slots = asyncio.Semaphore(_AT_ONCE)
        texts_ = [message for message in claimed if not message.needs_letter]
        results = await asyncio.gather(*(self._handle(message, slots, self._provider) for message in texts_))
        async with self._database.transaction() as tx:
            for result in results:
                await _record(tx, result)
        return len(claimed)

    async def _handle(self, message: Claimed, slots: asyncio.Semaphore, provider: SmsProvider) -> Result:
        async with slots:
            try:
                if message.sent:
                    return Result(message, await provider.ask(message.message_id))
                phone = message.open_phone(self._sealer)
                return Result(message, await provider.send(message.message_id, phone, message.text))
            except NoAnswer as error:
                return Result(message, None, f"no answer from the provider: {error}")


async def claim(tx: Transaction) -> Sequence[Claimed]:
    """Takes messages whose time has come, for the length of a lease."""
    values = {"now": tx.now, "until": tx.now + _LEASE, "limit": _BATCH, "deaths": list(DEATHS)}
    return [Claimed(**row) for row in rows(await tx.connection.execute(_CLAIM, values))]


async def _record(tx: Transaction, result: Result) -> None:
    message, receipt = result.message, result.receipt
    if receipt is None and message.attempts < MOST_ATTEMPTS:
        await _wait(tx, message, result.reason, _pause(message.attempts))
    elif receipt is None or receipt.status == "failed":
        await _fail(tx, message, (receipt.reason if receipt else result.reason) or "failed")
    elif receipt.status == "accepted":
        await _accepted(tx, message)
    else:
        await _delivered(tx, message)


async def _needs_letter(tx: Transaction, message: Claimed) -> None:
    reason = "the person died: to the family by letter" if message.died else "no phone"
    await _set(tx, message, status="letter_due", medium="letter", reason=reason, next_try_at=None, phone=None)


async def _wait(tx: Transaction, message: Claimed, reason: str | None, pause: timedelta) -> None:
    status = "sent" if message.sent else "queued"
    await _set(tx, message, status=status, reason=reason, next_try_at=tx.now + pause)


async def _accepted(tx: Transaction, message: Claimed) -> None:
    if message.sent:
        await _wait(tx, message, None, _pause(message.attempts))
    else:
        asked_at = tx.now + _pause(1)
        await _set(tx, message, status="sent", reason=None, attempts=1, next_try_at=asked_at, sent_at=tx.now)


async def _fail(tx: Transaction, message: Claimed, reason: str) -> None:
    if await _set(tx, message, status="failed", reason=reason, next_try_at=None, phone=None):
        tx.publish(
            MessageFailed(person_id=message.person_id, message_id=message.message_id, kind=message.kind, reason=reason)
        )


async def _delivered(tx: Transaction, message: Claimed) -> None:
    changed = await _set(
        tx,
        message,
        status="delivered",
        reason=None,
        next_try_at=None,
        phone=None,
        sent_at=func.coalesce(messages.c.sent_at, tx.now),
        delivered_at=tx.now,
        delivered_on=business_date(tx.now),
    )
    if changed and message.kind == "reminder" and message.subject_id is not None:
        tx.publish(
            ReminderDelivered(
                person_id=message.person_id,
                outreach_id=message.subject_id,
                message_id=message.message_id,
                medium="sms",
                delivered_at=tx.now,
            )
        )


async def _set(tx: Transaction, message: Claimed, **values: Any) -> bool:
    """Changes a message in hand; False if somebody else brought it to its end meanwhile."""
    changed = await tx.connection.execute(
        update(messages)
        .where(messages.c.message_id == message.message_id, messages.c.status.in_(("sending", "sent")))
        .values(values)
        .returning(messages.c.message_id)
    )
    return changed.one_or_none() is not None


def _pause(attempts: int) -> timedelta:
    """Doubles with each attempt, with jitter."""
    longest: timedelta = min(_FIRST_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)


_CLAIM = text("""
WITH due AS (
    SELECT message_id FROM messages WHERE next_try_at <= :now
    ORDER BY next_try_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE messages AS m
SET next_try_at = :until, attempts = m.attempts + 1,
    status = CASE m.status WHEN 'queued' THEN 'sending' ELSE m.status END
FROM due JOIN messages AS old USING (message_id) LEFT JOIN contacts AS c ON c.person_id = old.person_id
WHERE m.message_id = due.message_id
RETURNING m.message_id, m.person_id, m.kind, m.subject_id, m.text, m.status = 'sent' AS sent, m.attempts,
    coalesce(m.phone, c.phone) AS phone, m.phone IS NOT NULL AS own_phone,
    EXISTS (SELECT FROM schedules AS s WHERE s.person_id = m.person_id AND s.because = ANY(:deaths)) AS died
""")

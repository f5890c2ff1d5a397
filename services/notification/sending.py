"""Messages leave: claimed in one transaction, sent outside any, recorded in another.

A message that was claimed and whose end is not known (a crash, a timeout) is sent again under the same message id, by
which the platform tells it apart; it never reaches a person twice. It is tried until it is too old
(`outcomes.turn_unsent_into_letters`).

A phone that serves several persons gets one SMS where all of them are told the same, and one each where not; either
way it begins with the names of those it is about, so that nobody takes another's news for their own.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, case, literal, null, select, text, update

from libs.common.clock import utc_now
from libs.common.database import Database, Transaction, rows
from libs.common.parameters import Parameters
from libs.common.privacy import Sealer
from services.notification.outcomes import IN_HAND, deliver_texts, of_texts, suppress_text, turn_into_letters
from services.notification.parameters import load_parameters, quiet_until
from services.notification.sms import NoAnswer, Receipt, SmsProvider
from services.notification.tables import contacts, messages
from services.notification.texts import OF_THE_LIVING, naming

_MOMENT = DateTime(timezone=True)
_BATCH = 200
_AT_ONCE = 8
_LEASE = timedelta(seconds=60)
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=30)
_NO_PROVIDER_PAUSE = timedelta(minutes=10)

NO_PROVIDER = "no provider configured"
QUIET_HOURS = "quiet hours"
NO_PHONE = "no phone"
DIED = "the person died: to the family by letter"


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message in hand: to be sent, or, if `sent`, to be asked about.

    `phone` is sealed for the place that `phone_of` (a column of messages or of contacts) names; None: there is none,
    or it is that of a person who died. `shared`: the phone serves several persons.
    """

    message_id: UUID
    person_id: str
    area: str
    kind: str
    text: str
    sent: bool
    attempts: int
    phone: str | None
    phone_of: str
    phone_token: str | None
    shared: bool
    died: bool

    @property
    def needs_letter(self) -> bool:
        """Whoever has no phone gets a letter; so does the family of a person who died."""
        return not self.sent and self.phone is None

    def open_phone(self, sealer: Sealer) -> str:
        own = ("messages", self.message_id, "phone")
        return sealer.open(self.phone or "", *(own if self.phone_of == "message" else self._contact(self.phone_of)))

    def _contact(self, column: str) -> tuple[str, str, str]:
        return ("contacts", self.person_id, column)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a claimed message. No receipt and a `reason`: it is not known."""

    message: Claimed
    receipt: Receipt | None
    reason: str | None = None


class Sending:
    """What the worker repeats. Without a provider it finds out who needs a letter, and says why the others wait."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        provider: SmsProvider | None,
        *,
        at_any_hour: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database, self._sealer, self._provider = database, sealer, provider
        self._at_any_hour, self._clock = at_any_hour, clock

    async def step(self) -> bool:
        """One round over a batch; whether there may be more."""
        async with self._database.transaction() as tx:
            claimed = await claim(tx)
            parameters = await load_parameters(tx)
            leaving = [message for message in claimed if not await self._stays(tx, message, parameters)]
            if self._provider is None:
                return len(claimed) == _BATCH
            leaving = await _put_together(tx, leaving)
            names = await self._names(tx, leaving)
        slots = asyncio.Semaphore(_AT_ONCE)
        provider = self._provider
        results = await asyncio.gather(*(self._handle(message, names, slots, provider) for message in leaving))
        async with self._database.transaction() as tx:
            await _record(tx, results)
        return len(claimed) == _BATCH

    async def _stays(self, tx: Transaction, message: Claimed, parameters: Parameters) -> bool:
        """Whether no text leaves now: nobody needs it any more, a letter is due, it is night, or nobody can send it."""
        if message.died and message.kind in OF_THE_LIVING and not message.sent:
            await suppress_text(tx, message.message_id, "the person died")
        elif not message.died and message.kind == "entitlement_ended" and not message.sent:
            await suppress_text(tx, message.message_id, "the person is alive")
        elif message.needs_letter:
            reason = DIED if message.died else NO_PHONE
            await _set(tx, message, status="letter_due", medium="letter", reason=reason, phone=None)
        elif self._provider is None:
            await _set(tx, message, status="queued", reason=NO_PROVIDER, next_try_at=tx.now + _NO_PROVIDER_PAUSE)
        elif not message.sent and (until := self._quiet_until(message.area, parameters)) is not None:
            # As if it had not been tried: whoever shares a phone is told together in the morning.
            await _set(tx, message, status="queued", reason=QUIET_HOURS, next_try_at=until, attempts=0)
        else:
            return False
        return True

    def _quiet_until(self, area: str, parameters: Parameters) -> datetime | None:
        return None if self._at_any_hour else quiet_until(parameters, area, self._clock())

    async def _names(self, tx: Transaction, leaving: Sequence[Claimed]) -> Mapping[UUID, list[str]]:
        """The names of those whom each text to a shared phone is about."""
        shared = [message.message_id for message in leaving if message.shared and not message.sent]
        if not shared:
            return {}
        found = await tx.connection.execute(
            select(messages.c.message_id, messages.c.sent_with, contacts.c.person_id, contacts.c.name)
            .join(contacts, contacts.c.person_id == messages.c.person_id)
            .where(of_texts(shared), contacts.c.name.is_not(None))
            .order_by(messages.c.message_id)
        )
        names: dict[UUID, list[str]] = defaultdict(list)
        for row in found:
            name = self._sealer.open(row.name, "contacts", row.person_id, "name")
            if name not in names[row.sent_with or row.message_id]:
                names[row.sent_with or row.message_id].append(name)
        return names

    async def _handle(
        self, message: Claimed, names: Mapping[UUID, list[str]], slots: asyncio.Semaphore, provider: SmsProvider
    ) -> Result:
        async with slots:
            try:
                if message.sent:
                    return Result(message, await provider.ask(message.message_id))
                said = naming(message.text, names.get(message.message_id, ()))
                return Result(message, await provider.send(message.message_id, message.open_phone(self._sealer), said))
            except NoAnswer as error:
                return Result(message, None, f"no answer from the provider: {error}")


async def claim(tx: Transaction) -> Sequence[Claimed]:
    """Takes messages whose time has come, for the length of a lease."""
    values = {"now": tx.now, "until": tx.now + _LEASE, "limit": _BATCH}
    return [Claimed(**row) for row in rows(await tx.connection.execute(_CLAIM, values))]


async def _put_together(tx: Transaction, leaving: Sequence[Claimed]) -> list[Claimed]:
    """One SMS for those who share a phone and are told the same; the others of a group leave with its first.

    Only what was never tried is put together: a text that may be out already must stay what it was.
    """
    groups: dict[object, list[Claimed]] = defaultdict(list)
    for message in leaving:
        fresh = message.shared and message.phone_token and not message.sent and message.attempts == 1
        groups[(message.phone_token, message.kind, message.text) if fresh else message.message_id].append(message)
    for first, *others in groups.values():
        if others:
            ids = [other.message_id for other in others]
            with_first = {"sent_with": first.message_id, "next_try_at": None}
            await tx.connection.execute(update(messages).where(messages.c.message_id.in_(ids)).values(with_first))
    return [group[0] for group in groups.values()]


async def _record(tx: Transaction, results: Sequence[Result]) -> None:
    await deliver_texts(tx, [r.message.message_id for r in results if r.receipt and r.receipt.status == "delivered"])
    failed = {
        r.message.message_id: r.receipt.reason or "failed"
        for r in results
        if r.receipt is not None and r.receipt.status == "failed"
    }
    await turn_into_letters(tx, failed)
    accepted = [r.message for r in results if r.receipt and r.receipt.status == "accepted" and not r.message.sent]
    if accepted:
        asked_at = tx.now + _pause(1)
        await _set(tx, *accepted, status="sent", reason=None, attempts=1, next_try_at=asked_at, sent_at=tx.now)
    for result in results:
        message, status = result.message, result.receipt and result.receipt.status
        again_at = tx.now + _pause(message.attempts)
        if status == "unknown":  # it was never there, or they lost it
            await _set(tx, message, status="sending", reason="not known to the provider", next_try_at=again_at)
        elif status is None or (status == "accepted" and message.sent):
            await _set(tx, message, reason=result.reason, next_try_at=again_at)


async def _set(tx: Transaction, *claimed: Claimed, next_try_at: datetime | None = None, **values: Any) -> None:
    """Changes messages in hand and what left with them, unless somebody else brought one to its end meanwhile."""
    await tx.connection.execute(
        update(messages)
        .where(of_texts([message.message_id for message in claimed]), messages.c.status.in_(IN_HAND))
        .values(
            next_try_at=case((messages.c.sent_with.is_(None), literal(next_try_at, _MOMENT)), else_=null()), **values
        )
    )


def _pause(attempts: int) -> timedelta:
    """Doubles with each attempt, with jitter."""
    longest: timedelta = min(_FIRST_PAUSE * 2 ** min(attempts - 1, 20), _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)


_CLAIM = text("""
WITH due AS (
    SELECT message_id FROM messages WHERE next_try_at <= :now
    ORDER BY next_try_at, phone_token LIMIT :limit FOR UPDATE SKIP LOCKED
), reached AS (
    SELECT old.message_id, died.person_id IS NOT NULL AS died, c.phone_token,
        CASE WHEN old.phone IS NOT NULL THEN 'message' WHEN died.person_id IS NULL AND c.phone IS NOT NULL THEN 'phone'
            ELSE 'guardian_phone' END AS phone_of,
        CASE WHEN old.phone IS NOT NULL AND died.person_id IS NULL THEN old.phone
            WHEN old.phone IS NOT NULL THEN NULL
            WHEN died.person_id IS NULL AND c.phone IS NOT NULL THEN c.phone
            ELSE c.guardian_phone END AS phone,
        EXISTS (SELECT FROM contacts AS o WHERE o.phone_token = c.phone_token AND o.person_id <> c.person_id) AS shared
    FROM due JOIN messages AS old USING (message_id) LEFT JOIN contacts AS c USING (person_id)
        LEFT JOIN deceased AS died USING (person_id)
)
UPDATE messages AS m
SET next_try_at = :until, attempts = m.attempts + 1,
    status = CASE m.status WHEN 'queued' THEN 'sending' ELSE m.status END
FROM reached AS r WHERE m.message_id = r.message_id
RETURNING m.message_id, m.person_id, m.area, m.kind, m.text, m.status = 'sent' AS sent, m.attempts, r.phone, r.phone_of,
    r.phone_token, r.shared AND r.phone_of = 'phone' AS shared, r.died
""")

"""Webhooks of the platform: taken in by the hundred, each delivery once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text

from libs.common.database import Database, Transaction, is_transient
from services.disbursement.handlers.cases import open_case
from services.disbursement.handlers.receipts import Sms, note_sms
from services.disbursement.handlers.results import BankResult, lock_payees, record_results

Answer = Literal["taken in", "known", "unknown payment"]

_AT_ONCE = 500
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One verified webhook. `told` is None when its payment's id cannot be one of ours."""

    webhook_id: str
    type: str
    payment_id: str
    told: BankResult | Sms | None


async def take_in(tx: Transaction, deliveries: Sequence[Delivery]) -> list[Answer]:
    """Takes these deliveries in together; the answer to each. An unknown payment is a case."""
    new = await _mark(tx, deliveries)
    fresh = [delivery for delivery in deliveries if new.get(delivery.webhook_id) is delivery]
    told = [delivery.told for delivery in fresh if delivery.told is not None]
    known = await lock_payees(tx, {item.payment_id for item in told})
    await record_results(tx, [item for item in told if isinstance(item, BankResult) and item.payment_id in known])
    messages = [item for item in told if isinstance(item, Sms) and item.payment_id in known]
    if messages:
        await note_sms(tx, messages)
    answers: list[Answer] = []
    for delivery in deliveries:
        if new.get(delivery.webhook_id) is not delivery:
            answers.append("known")
        elif delivery.told is None or delivery.told.payment_id not in known:
            await note_unknown_payment(tx, delivery.payment_id, delivery.type)
            answers.append("unknown payment")
        else:
            answers.append("taken in")
    return answers


async def note_unknown_payment(tx: Transaction, payment_id: str, event_type: str) -> None:
    """The bank speaks of a payment that is not ours."""
    await open_case(tx, "unknown_payment", payment_id, area="", told=event_type)


async def _mark(tx: Transaction, deliveries: Sequence[Delivery]) -> dict[str, Delivery]:
    """The first of each delivery that was not taken in before, by its id."""
    first: dict[str, Delivery] = {}
    for delivery in deliveries:
        first.setdefault(delivery.webhook_id, delivery)
    marked = await tx.connection.execute(
        text(
            "INSERT INTO webhook_deliveries (webhook_id, type) SELECT * FROM unnest(CAST(:ids AS text[]),"
            " CAST(:types AS text[])) AS d (webhook_id, type) ORDER BY webhook_id ON CONFLICT DO NOTHING"
            " RETURNING webhook_id"
        ),
        {"ids": list(first), "types": [delivery.type for delivery in first.values()]},
    )
    return {webhook_id: first[webhook_id] for webhook_id in marked.scalars()}


class Door:
    """Where requests wait for one transaction together: alone it is no slower, and a thousand share a few commits.

    Each is answered once its effects are committed, or with the error of its own transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Delivery, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def take_in(self, delivery: Delivery) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="webhooks")
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                await self._serve(together)
        finally:
            self._working = None

    async def _serve(self, together: Sequence[tuple[Delivery, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._in_one_transaction([delivery for delivery, _ in together])
        except Exception as error:
            if len(together) > 1 and not is_transient(error):
                for one in together:  # whatever is wrong with one of them is not the others' fault
                    await self._serve([one])
                return
            for _, waiting in together:
                if not waiting.done():
                    waiting.set_exception(error)
        else:
            for (_, waiting), answer in zip(together, answers, strict=True):
                if not waiting.done():  # its sender may have hung up
                    waiting.set_result(answer)

    async def _in_one_transaction(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        for attempt in range(1, _TRIES + 1):
            try:
                async with self._database.transaction() as tx:
                    return await take_in(tx, deliveries)
            except Exception as error:
                if not is_transient(error) or attempt == _TRIES:
                    raise
        raise AssertionError("unreachable")

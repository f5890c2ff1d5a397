"""What goes on beside the API: documents to the national system, status changes to partners. At least once, each with
an identity by which the receiver sees a repetition."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import text
from standardwebhooks import Webhook

from libs.common.clock import utc_now
from libs.common.database import Database, Transaction
from services.intake.handlers.archives import content_in, found_in
from services.intake.handlers.store_checks import is_sound
from services.intake.national import NationalArchive, NationalDocument, NationalRefusal
from services.intake.stores import TwoStores
from services.intake.vault import Vault

_LEASE_S = 120
"""So long one process has for what it took; then another may take it."""

_AT_ONCE = 20
WEBHOOK_TIMEOUT_S = 10.0
WEBHOOK_PAUSES_S = (5, 30, 120, 600, 3600, 3 * 3600, 12 * 3600, 24 * 3600)
"""Between the tries of one delivery; after the last of them it is dead-lettered."""

_UPLOAD_PAUSES_S = (30, 300, 3600, 6 * 3600, 24 * 3600)
"""The last one is repeated for ever: a document is owed to the national system."""


class NationalUploads:
    """Sends documents to the national system, oldest first, and keeps its receipts (notice 5.1)."""

    def __init__(self, database: Database, stores: TwoStores, vault: Vault, national: NationalArchive) -> None:
        self._database = database
        self._stores = stores
        self._vault = vault
        self._national = national

    async def upload_due(self) -> bool:
        """One round; True if it was a full one."""
        async with self._database.transaction() as tx:
            due = (await tx.connection.execute(_TAKE_UPLOADS, {"lease_s": _LEASE_S, "most": _AT_ONCE})).all()
        for row in due:
            values = await self._upload(row)
            async with self._database.transaction() as tx:
                await _note(tx, "national_uploads", "document_id", row.document_id, values)
        return len(due) == _AT_ONCE

    async def _upload(self, row: Any) -> dict[str, Any]:
        found = found_in(self._vault, row)
        sound = [store for store in self._stores.both if await asyncio.to_thread(is_sound, store, found)]
        if not sound:
            return {"due_at": _later(row.attempts, _UPLOAD_PAUSES_S), "problem": "no store holds it"}
        document = NationalDocument(
            row.document_id, row.application_id, row.kind, row.area, row.sha256, row.size, row.media_type
        )
        try:
            receipt_no = await self._national.upload(document, content_in(sound[0], found))
        except NationalRefusal as refusal:
            return {"state": "refused", "problem": str(refusal)[:500]}
        except httpx.HTTPError as error:
            return {"due_at": _later(row.attempts, _UPLOAD_PAUSES_S), "problem": type(error).__name__}
        return {"state": "received", "receipt_no": receipt_no, "received_at": utc_now(), "problem": None}


class PartnerWebhooks:
    """Tells partners of status changes of what they submitted, signed per Standard Webhooks."""

    def __init__(self, database: Database, vault: Vault, client: httpx.AsyncClient) -> None:
        self._database = database
        self._vault = vault
        self._client = client

    async def deliver_due(self) -> bool:
        """One round; True if it was a full one."""
        async with self._database.transaction() as tx:
            due = (await tx.connection.execute(_TAKE_DELIVERIES, {"lease_s": _LEASE_S, "most": _AT_ONCE})).all()
        problems = await asyncio.gather(*(self._deliver(row) for row in due))
        if due:
            async with self._database.transaction() as tx:
                for row, problem in zip(due, problems, strict=True):
                    await _note(
                        tx, "webhook_deliveries", "delivery_id", row.delivery_id, _outcome(row.attempts, problem)
                    )
        return len(due) == _AT_ONCE

    async def _deliver(self, row: Any) -> str | None:
        """What went wrong; None when the receiver took it."""
        if row.url is None:
            return "no webhook is registered any more"
        secret = self._vault.sealer.open(row.sealed_secret, "webhooks", row.sub, "secret")
        now, message_id = utc_now(), f"msg_{row.delivery_id}"
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, now, row.body),
        }
        try:
            answer = await self._client.post(row.url, content=row.body.encode(), headers=headers)
        except httpx.HTTPError as error:
            return type(error).__name__
        return None if answer.is_success else f"answered {answer.status_code}"


def _outcome(attempts: int, problem: str | None) -> dict[str, Any]:
    if problem is None:
        return {"delivered_at": utc_now(), "problem": None}
    if attempts > len(WEBHOOK_PAUSES_S):
        return {"dead_at": utc_now(), "problem": problem}
    return {"due_at": _later(attempts, WEBHOOK_PAUSES_S), "problem": problem}


def _later(attempts: int, pauses_s: tuple[int, ...]) -> Any:
    """When to try again after so many attempts, with jitter, so that all do not come at once."""
    pause_s = pauses_s[min(attempts, len(pauses_s)) - 1]
    return utc_now() + timedelta(seconds=pause_s * random.uniform(0.8, 1.2))  # noqa: S311 (no secret)


async def _note(tx: Transaction, table: str, key: str, value: Any, values: dict[str, Any]) -> None:
    changes = ", ".join(f"{name} = :{name}" for name in values)
    await tx.connection.execute(text(f"UPDATE {table} SET {changes} WHERE {key} = :key"), {**values, "key": value})  # noqa: S608 (names of this module)


_TAKE_UPLOADS = text(
    """
    WITH taken AS (
        UPDATE national_uploads SET attempts = attempts + 1, due_at = now() + make_interval(secs => :lease_s)
        WHERE document_id IN (
            SELECT document_id FROM national_uploads WHERE state = 'pending' AND due_at <= now()
            ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED)
        RETURNING document_id, attempts)
    SELECT t.document_id, t.attempts, d.application_id, d.kind, a.area, c.* FROM taken t
    JOIN documents d USING (document_id) JOIN contents c USING (sha256) JOIN applications a USING (application_id)
    """
)
_TAKE_DELIVERIES = text(
    """
    WITH taken AS (
        UPDATE webhook_deliveries SET attempts = attempts + 1, due_at = now() + make_interval(secs => :lease_s)
        WHERE delivery_id IN (
            SELECT delivery_id FROM webhook_deliveries
            WHERE delivered_at IS NULL AND dead_at IS NULL AND due_at <= now()
            ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED)
        RETURNING delivery_id, sub, body, attempts)
    SELECT t.*, w.url, w.sealed_secret FROM taken t LEFT JOIN webhooks w USING (sub) ORDER BY t.delivery_id
    """
)

"""Idempotency keys: the same key and body get the first answer again.

The answer is stored in the transaction of the effects, per caller and route, and kept for some days. A twin that comes
while the first is being worked on waits for it, then is told to come again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from libs.common.database import Opening, Transaction
from libs.common.errors import IdempotencyKeyReused, InvalidInput, StillRunning

HEADER = "idempotency-key"
_LONGEST_KEY = 255

_FIRST_ANSWER = text(
    "SELECT a.digest, a.status, a.headers, a.body, clock_timestamp() AS now"
    " FROM (VALUES (1)) AS one LEFT JOIN first_answer(:sub, :route, :key, :wait) AS a ON true"
)


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """One use of a key: by whom, where, with which body."""

    sub: str
    route: str
    key: str
    digest: str

    @classmethod
    def of(cls, sub: str, route: str, key: str, body: bytes) -> IdempotentCall:
        if not 0 < len(key) <= _LONGEST_KEY:
            raise InvalidInput.at(
                f"header.{HEADER}", f"应为 1 至 {_LONGEST_KEY} 个字符 (1 to {_LONGEST_KEY} characters)"
            )
        return cls(sub, route, key, hashlib.sha256(body).hexdigest())

    def opening(self, *, wait_s: float) -> Opening:
        """What a transaction opens with to see whether the key was used; its row is for `answer_in`."""
        wait = f"{int(wait_s * 1000)}ms"
        return _FIRST_ANSWER, {"sub": self.sub, "route": self.route, "key": self.key, "wait": wait}

    def answer_in(self, row: Any) -> Response | None:
        """The stored answer in the row of `opening`, or None: then do the work. IdempotencyKeyReused: another body."""
        if row.digest is None:
            return None
        if row.digest != self.digest:
            raise IdempotencyKeyReused("use a new key for a new body")
        return Response(row.body, row.status, {**row.headers, "Idempotent-Replay": "true"})

    async def first_answer(self, tx: Transaction, *, wait_s: float) -> Response | None:
        """The stored answer, or None, asked within a transaction."""
        with twin_told():
            return self.answer_in((await tx.connection.execute(*self.opening(wait_s=wait_s))).one())

    def remember(self, tx: Transaction, response: Response) -> None:
        """Stores the answer with the commit."""
        headers = {name: value for name, value in response.headers.items() if name in ("content-type", "location")}
        tx.remember_answer(
            {
                "sub": self.sub,
                "route": self.route,
                "key": self.key,
                "digest": self.digest,
                "status": response.status_code,
                "headers": json.dumps(headers),
                "body": bytes(response.body),
            }
        )


@contextmanager
def twin_told() -> Iterator[None]:
    """StillRunning when a twin takes longer than what was waited for it."""
    try:
        yield
    except (DBAPIError, asyncpg.LockNotAvailableError) as error:
        if getattr(getattr(error, "orig", error), "sqlstate", None) == "55P03":  # lock_not_available
            raise StillRunning("the first request with this key has not ended yet") from error
        raise


async def forget_old_keys(tx: Transaction, *, days: int) -> int:
    result = await tx.connection.execute(
        text("DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(days => :days)"), {"days": days}
    )
    return result.rowcount

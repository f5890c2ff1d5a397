"""Idempotency keys: the same key and body get the first answer again.

The answer is stored in the transaction of the effects, per caller and route, and kept for some days. A twin that comes
while the first is being worked on waits for it, then is told to come again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from libs.common.database import Transaction
from libs.common.errors import IdempotencyKeyReused, InvalidInput, StillRunning

HEADER = "idempotency-key"
_LONGEST_KEY = 255

_FIRST_ANSWER = text("SELECT digest, status, headers, body FROM first_answer(:sub, :route, :key, :wait)")
_REMEMBER = text(
    "INSERT INTO idempotency_keys (sub, route, key, digest, status, headers, body)"
    " VALUES (:sub, :route, :key, :digest, :status, CAST(:headers AS jsonb), :body)"
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
            raise InvalidInput.at(f"header.{HEADER}", f"1 to {_LONGEST_KEY} characters")
        return cls(sub, route, key, hashlib.sha256(body).hexdigest())

    async def first_answer(self, tx: Transaction, *, wait_s: float) -> Response | None:
        """The stored answer, or None: then do the work. StillRunning when a twin takes longer than `wait_s`."""
        asked = {"sub": self.sub, "route": self.route, "key": self.key, "wait": f"{int(wait_s * 1000)}ms"}
        try:
            stored = (await tx.connection.execute(_FIRST_ANSWER, asked)).one_or_none()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == "55P03":  # lock_not_available
                raise StillRunning("the first request with this key has not ended yet") from error
            raise
        if stored is None:
            return None
        if stored.digest != self.digest:
            raise IdempotencyKeyReused("use a new key for a new body")
        return Response(stored.body, stored.status, {**stored.headers, "Idempotent-Replay": "true"})

    async def remember(self, tx: Transaction, response: Response) -> None:
        headers = {name: value for name, value in response.headers.items() if name in ("content-type", "location")}
        await tx.connection.execute(
            _REMEMBER,
            {
                "sub": self.sub,
                "route": self.route,
                "key": self.key,
                "digest": self.digest,
                "status": response.status_code,
                "headers": json.dumps(headers),
                "body": bytes(response.body),
            },
        )


async def forget_old_keys(tx: Transaction, *, days: int) -> int:
    result = await tx.connection.execute(
        text("DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(days => :days)"), {"days": days}
    )
    return result.rowcount

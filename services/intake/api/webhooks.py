"""Webhooks out, over REST: where a partner is told of status changes, and what became of each telling."""

from __future__ import annotations

import base64
import ipaddress
import secrets
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.audit import record
from libs.common.auth import Principal, caller
from libs.common.database import rows
from libs.common.errors import InvalidInput, NotFound
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys
from services.intake.tables import webhook_deliveries, webhooks

api = router(prefix="/v1/webhooks", tags=["webhooks"], dependencies=RATE_LIMITED)

Partner = Annotated[Principal, Depends(caller("partner"))]
PartnerOrAdmin = Annotated[Principal, Depends(caller("partner", "admin"))]

_SECRET_BYTES = 32
_DELIVERY_STATES = Literal["pending", "delivered", "dead"]


class Webhook(BaseModel):
    url: Annotated[str, Field(max_length=2000, examples=["https://partner.example/hooks/liangbu"])]


class Registered(BaseModel):
    """`secret` signs every delivery (Standard Webhooks); it is shown this once."""

    url: str
    secret: str


class RegisteredView(BaseModel):
    url: str
    set_at: datetime


class Replayed(BaseModel):
    delivery_id: UUID
    status: Literal["pending"] = "pending"


@api.put("")
async def register(webhook: Webhook, request: Request, tx: Tx, keys: Keys, partner: Partner) -> Registered:
    """Where status changes of the caller's applications are sent from now on, with a new secret."""
    embedded = request.app.state.settings.host in ("127.0.0.1", "localhost")
    _require_reachable(webhook.url, embedded=embedded)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    values = {
        "url": webhook.url,
        "sealed_secret": keys.sealer.seal(secret, "webhooks", partner.sub, "secret"),
        "set_at": tx.now,
    }
    await tx.connection.execute(
        insert(webhooks).values(sub=partner.sub, **values).on_conflict_do_update(index_elements=["sub"], set_=values)
    )
    await record(tx, partner, "register webhook", partner.sub)
    return Registered(url=webhook.url, secret=secret)


@api.get("")
async def read_webhook(tx: Tx, partner: Partner) -> RegisteredView:
    found = await tx.connection.execute(select(webhooks).where(webhooks.c.sub == partner.sub))
    row = found.one_or_none()
    if row is None:
        raise NotFound("no webhook is registered")
    return RegisteredView(url=row.url, set_at=row.set_at)


@api.delete("", status_code=204, response_class=Response)
async def forget(tx: Tx, partner: Partner) -> Response:
    """Nothing more is sent."""
    await tx.connection.execute(webhooks.delete().where(webhooks.c.sub == partner.sub))
    await record(tx, partner, "forget webhook", partner.sub)
    return Response(status_code=204)


@api.get("/deliveries")
async def list_deliveries(
    tx: Tx, reader: PartnerOrAdmin, paging: Annotated[Paging, Depends()], state: _DELIVERY_STATES | None = None
) -> Page:
    """What was told, newest first: the caller's own, or for an admin everybody's."""
    table = webhook_deliveries.c
    query = select(
        table.delivery_id, table.sub, table.application_id, table.attempts, table.due_at, table.delivered_at,
        table.dead_at, table.problem,
    )  # fmt: skip
    if reader.role == "partner":
        query = query.where(table.sub == reader.sub)
    if state is not None:
        query = query.where(_IN_STATE[state])
    found = rows(await tx.connection.execute(paging.cut(query, table.delivery_id, descending=True)))
    return paging.page(found, "delivery_id")


@api.post("/deliveries/{delivery_id}/replay", status_code=202)
async def replay(delivery_id: UUID, tx: Tx, reader: PartnerOrAdmin) -> Replayed:
    """Sends a delivery again from the start, dead or delivered; the receiver knows it by its `webhook-id`."""
    table = webhook_deliveries.c
    mine = table.delivery_id == delivery_id
    if reader.role == "partner":
        mine &= table.sub == reader.sub
    found = await tx.connection.execute(
        update(webhook_deliveries)
        .where(mine)
        .values(attempts=0, due_at=tx.now, delivered_at=None, dead_at=None, problem=None)
        .returning(table.delivery_id)
    )
    if found.one_or_none() is None:
        raise NotFound("no such delivery")
    await record(tx, reader, "replay delivery", str(delivery_id))
    return Replayed(delivery_id=delivery_id)


_IN_STATE: dict[str, Any] = {
    "pending": webhook_deliveries.c.delivered_at.is_(None) & webhook_deliveries.c.dead_at.is_(None),
    "delivered": webhook_deliveries.c.delivered_at.is_not(None),
    "dead": webhook_deliveries.c.dead_at.is_not(None),
}


def _require_reachable(url: str, *, embedded: bool) -> None:
    """An address out there over TLS: what is sent must not reach into the network of this system. On one machine
    (`embedded`) partners are programs on it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput.at("url", "不是网址 (is no address)") from error
    if parts.scheme not in ("https", "http") or not host or parts.username is not None or not url.isascii():
        raise InvalidInput.at("url", "应为不含用户名的 http(s) 地址 (an http(s) address without a user name)")
    if embedded:
        return
    if parts.scheme != "https":
        raise InvalidInput.at("url", "须用 https (needs https)")
    try:
        is_public = ipaddress.ip_address(host).is_global
    except ValueError:  # a name
        is_public = "." in host and not host.endswith((".local", ".internal", ".localhost"))
    if not is_public:
        raise InvalidInput.at("url", "不是公网地址 (is not an address on the public network)")

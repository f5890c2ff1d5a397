"""Feeds: received once, taken in, and acted on where the sender's word is a fact.

A feed goes through `received` (the file is here), `stored` (its rows lie in Parquet) and `ready`. Each step can be done
again: a feed that a crash left half-way is taken up where it was. A snapshot that is not to be believed stays
`quarantined` between storing and acting, until a person releases it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import Conflict, Forbidden, NotFound
from services.matching.feeds import Stored
from services.matching.parameters import load_parameters
from services.matching.sources import SOURCES, Source
from services.matching.tables import feeds


class NotInQuarantine(Conflict):
    """Only a feed in quarantine is released or refused."""

    type = "not-in-quarantine"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that arrived: of which source, for which area, and as of which day."""

    source: Source
    area: str
    as_of: date
    mode: str
    digest: str


def require_sender(source: Source, principal: Principal) -> bool:
    """Whether the sender's word on this source is a fact. Forbidden for who may not send it at all.

    Civil affairs sends any feed, the federation that of certificates, a machine those that its token names.
    """
    if principal.role == "partner":
        if not principal.may_assert(source.name):
            raise Forbidden(f"令牌不含数据来源 {source.name} (your token does not name the source)")
        return source.authority is not None
    if principal.role == "cdpf" and source.name != "certificates":
        raise Forbidden("残联只上传残疾人证数据 (the federation sends certificates only)")
    return principal.role == source.authority


async def receive_feed(
    tx: Transaction, feed_id: UUID, delivery: Delivery, *, authoritative: bool, principal: Principal
) -> dict[str, Any]:
    """The feed that this delivery is: new, or the one that the same file was before."""
    await tx.connection.execute(
        insert(feeds)
        .values(
            feed_id=feed_id,
            source=delivery.source.name,
            area=delivery.area,
            as_of=delivery.as_of,
            mode=delivery.mode,
            digest=delivery.digest,
            status="received",
            authoritative=authoritative,
            sent_by=principal.sub,
        )
        .on_conflict_do_nothing(constraint="the_same_file_is_the_same_feed")
    )
    row = await tx.connection.execute(
        select(feeds).where(
            feeds.c.source == delivery.source.name,
            feeds.c.area == delivery.area,
            feeds.c.as_of == delivery.as_of,
            feeds.c.mode == delivery.mode,
            feeds.c.digest == delivery.digest,
        )
    )
    return dict(row.mappings().one())


async def read_feed(tx: Transaction, feed_id: UUID, principal: Principal) -> dict[str, Any]:
    """NotFound outside one's area."""
    row = (await tx.connection.execute(select(feeds).where(feeds.c.feed_id == feed_id))).mappings().one_or_none()
    if row is None:
        raise NotFound("no such feed")
    principal.require_sight(row["area"], "feed")
    return dict(row)


async def release_feed(tx: Transaction, feed_id: UUID, note: str, principal: Principal) -> None:
    """A person has asked its sender, and believes the snapshot after all; it goes on being taken in."""
    feed = await read_feed(tx, feed_id, principal)
    require_sender(SOURCES[feed["source"]], principal)
    await _leave_quarantine(tx, feed, status="stored", released_by=principal.sub, released_at=tx.now, release_note=note)
    await record(tx, principal, "release feed", str(feed_id), reason=note)


async def refuse_feed(tx: Transaction, feed_id: UUID, reason: str, principal: Principal) -> None:
    """The snapshot is not believed; its sender sends another."""
    feed = await read_feed(tx, feed_id, principal)
    require_sender(SOURCES[feed["source"]], principal)
    await _leave_quarantine(tx, feed, status="refused", refusal=reason)
    await record(tx, principal, "refuse feed", str(feed_id), reason=reason)


async def _leave_quarantine(tx: Transaction, feed: dict[str, Any], **changes: Any) -> None:
    left = await tx.connection.execute(
        update(feeds).where(feeds.c.feed_id == feed["feed_id"], feeds.c.status == "quarantined").values(**changes)
    )
    if left.rowcount == 0:
        raise NotInQuarantine(f"the feed is {feed['status']}")


async def notices_of(tx: Transaction, feed: dict[str, Any], stored: Stored) -> tuple[list[str], bool]:
    """What its readers should know of a feed, and whether a person has to look at it before it is believed."""
    notices, doubtful = [], False
    rows = stored.accepted + stored.rejected
    if stored.rejected:
        notices.append(
            f"{rows} 行中退回 {stored.rejected} 行, 逐行列有原因 (rows were not taken; each is listed with its reason)"
        )
    if stored.cut_off:
        notices.append("文件在一行中间结束, 可能被截断 (the file ends in the middle of a row: it seems to be cut off)")
        doubtful = feed["mode"] == "snapshot"
    others = select(feeds.c.as_of, feeds.c.accepted).where(
        feeds.c.source == feed["source"],
        feeds.c.area == feed["area"],
        feeds.c.status.in_(("stored", "ready")),
        feeds.c.feed_id != feed["feed_id"],
    )
    newest = (await tx.connection.execute(others.order_by(feeds.c.as_of.desc()).limit(1))).one_or_none()
    if newest is not None and newest.as_of > feed["as_of"]:
        notices.append(
            f"已有 {newest.as_of} 的数据, 本次 {feed['as_of']} 的不覆盖它 (an old period: the newer outranks it)"
        )
    if feed["mode"] == "snapshot":
        earlier = others.where(feeds.c.mode == "snapshot", feeds.c.as_of <= feed["as_of"])
        before = (
            await tx.connection.execute(earlier.order_by(feeds.c.as_of.desc(), feeds.c.feed_id.desc()).limit(1))
        ).one_or_none()
        if before is not None and await _has_shrunk(tx, feed, before.accepted, stored.accepted):
            notices.append(
                f"{before.as_of} 的全量数据有 {before.accepted} 行, 本次只有 {stored.accepted} 行, 经人核实后才采用"
                " (the snapshot has shrunk: not believed until a person releases it)"
            )
            doubtful = True
    return notices, doubtful


async def _has_shrunk(tx: Transaction, feed: dict[str, Any], before: int, now: int) -> bool:
    """Whether a snapshot lost so much that it is not believed by itself, as the policy of its area has it."""
    parameters = await load_parameters(tx)
    area, on = feed["area"], feed["as_of"]
    percent = parameters.number("feed.shrunken_percent", area, on)
    rows = parameters.number("feed.shrunken_rows", area, on)
    return before - now >= max(rows, before * percent / 100)

"""Reading both archive stores back, and repairing one from the other (notice 5.2)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from cryptography.exceptions import InvalidTag
from sqlalchemy import Row, insert, or_, select, text, update

from libs.common.database import Transaction, new_id
from services.intake.archive_tables import archive_store_checks, contents
from services.intake.archives import STORED_SEGMENT_BYTES, DamagedContent
from services.intake.handlers.archives import Found, content_in, found_in
from services.intake.stores import Store, TwoStores
from services.intake.vault import Vault

EVERY_DAYS = 30
"""Each content is read back at least this often by the daily run."""

DAILY_MOST = 2_000
"""Contents that one daily run reads back."""

STRAY_AFTER = timedelta(days=1)
"""So long nothing takes to be stored: what lies nameless for longer was left by a process that was killed."""

_FOLDERS_A_DAY = 8
"""Of 256, into which digests spread the objects: each is looked through about once a month."""

_AT_ONCE = 4


@dataclass(slots=True)
class StoreCheck:
    """What a check found. `repaired` counts by store, first and second; `lost` are digests that no store holds."""

    check_id: UUID = field(default_factory=new_id)
    checked: int = 0
    repaired: list[int] = field(default_factory=lambda: [0, 0])
    lost: list[str] = field(default_factory=list)


async def check_stores(tx: Transaction, stores: TwoStores, vault: Vault, *, asked_by: str, most: int) -> StoreCheck:
    """Reads back what was not read back for longest, at most `most` contents, and repairs what one store has lost."""
    query = select(contents).order_by(contents.c.checked_at.nulls_first(), contents.c.sha256).limit(most)
    return await _check(tx, stores, vault, (await tx.connection.execute(query)).all(), asked_by=asked_by)


async def check_due(tx: Transaction, stores: TwoStores, vault: Vault, as_of: date) -> int:
    """The daily part: what was not read back for EVERY_DAYS, so many at once; how many were repaired or are lost."""
    due = contents.c.checked_at < as_of - timedelta(days=EVERY_DAYS)
    query = (
        select(contents)
        .where(or_(contents.c.checked_at.is_(None), due))
        .order_by(contents.c.checked_at.nulls_first(), contents.c.sha256)
        .limit(DAILY_MOST)
    )
    found = (await tx.connection.execute(query)).all()
    if not found:
        return 0
    check = await _check(tx, stores, vault, found, asked_by="daily run")
    return sum(check.repaired) + len(check.lost)


async def remove_strays(tx: Transaction, stores: TwoStores, as_of: date) -> int:
    """Removes what no document and no roster names: its process was killed between storing and committing. How many.

    Each day looks through some of the folders.
    """
    first = as_of.toordinal() * _FOLDERS_A_DAY
    digests = [f"{number % 256:02x}" for number in range(first, first + _FOLDERS_A_DAY)]
    removed = 0
    for store in stores.both:
        for folder in (prefix + digest for prefix in ("", "rosters/") for digest in digests):
            names = await asyncio.to_thread(store.names_before, folder, tx.now - STRAY_AFTER)
            strays = (await tx.connection.execute(_NAMELESS, {"names": names})).scalars() if names else ()
            for name in strays:
                await asyncio.to_thread(store.remove, name)
                removed += 1
    return removed


_NAMELESS = text(
    "SELECT name FROM unnest(CAST(:names AS text[])) AS name"
    " EXCEPT SELECT object_name FROM contents WHERE object_name = ANY(:names)"
    " EXCEPT SELECT object_name FROM roster_imports WHERE object_name = ANY(:names)"
)


async def _check(
    tx: Transaction, stores: TwoStores, vault: Vault, found: Sequence[Row[tuple[object, ...]]], *, asked_by: str
) -> StoreCheck:
    check = StoreCheck(checked=len(found))
    for start in range(0, len(found), _AT_ONCE):
        some = [found_in(vault, row) for row in found[start : start + _AT_ONCE]]
        verdicts = await asyncio.gather(*(asyncio.to_thread(_mend, stores, content) for content in some))
        for content, (sound, mended) in zip(some, verdicts, strict=True):
            if not sound:
                check.lost.append(content.sha256)
            for number in mended:
                check.repaired[number] += 1
    await tx.connection.execute(
        update(contents).where(contents.c.sha256.in_([row.sha256 for row in found])).values(checked_at=tx.now)
    )
    await tx.connection.execute(
        insert(archive_store_checks).values(
            check_id=check.check_id,
            checked_at=tx.now,
            asked_by=asked_by,
            checked=check.checked,
            repaired=check.repaired,
            lost=check.lost,
        )
    )
    return check


def _mend(stores: TwoStores, content: Found) -> tuple[bool, list[int]]:
    """Whether a sound copy exists, and the numbers of the stores that got a copy of it."""
    sound = [is_sound(store, content) for store in stores.both]
    if not any(sound):
        return False, []
    source = stores.both[sound.index(True)]
    mended = [number for number, is_good in enumerate(sound) if not is_good]
    for number in mended:
        # The ciphertext is copied as it is: the copy is as sound as its source was just found to be.
        stores.both[number].put(content.object_name, lambda: source.read(content.object_name, STORED_SEGMENT_BYTES))
    return True, mended


def is_sound(store: Store, content: Found) -> bool:
    """Whether the content can be read back equal from this store."""
    digest = hashlib.sha256()
    try:
        for part in content_in(store, content):
            digest.update(part)
    except (OSError, InvalidTag, DamagedContent):
        return False
    return digest.hexdigest() == content.sha256

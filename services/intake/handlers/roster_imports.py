"""Reading a roster that is taken over (存量接管): received once, read in chunks, each of which is there whole or not.

A chunk's rows, its place in the file and its events are one transaction: whoever is killed in between goes on after the
last chunk that was committed. What a row says is judged by eligibility; `handlers/takeover.py` acts on the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Database, Transaction, copy_rows, new_id
from libs.common.errors import NotFound, Unavailable
from libs.common.events.intake import ListedRecipient, RecipientsListed, RosterImported
from libs.common.working_days import working_days_after
from services.intake.archives import STORED_SEGMENT_BYTES, decrypted, digest_of, encrypted, new_key, opened_key
from services.intake.handlers.roster_rows import ReadRow, Recipient, recipients_in, with_what_is_known
from services.intake.policy_records import parameters_of
from services.intake.roster_files import Row, examine, read_rows
from services.intake.stores import TwoStores
from services.intake.tables import roster_imports
from services.intake.vault import Vault

CHUNK_ROWS = 1000
_SLICE_ROWS = 20
"""Made ready at once, in about 10 ms; then whoever else waits has a turn. A second thread would only hand the
interpreter to and fro with the one that serves."""
_PORTION = 100
"""Of recipients in one event: at 20 KiB each still less than the megabyte that brokers take by default."""
_HEARD_WITHIN = timedelta(minutes=15)
"""Who has not been judged so long after the last decision is reported; they hold up the others' payments until they
are."""


async def receive_roster(
    database: Database, stores: TwoStores, vault: Vault, caller: Principal, file: BinaryIO, *, area: str, on: date
) -> UUID:
    """Keeps the file and begins to take it over; the same file for an area is the same import. UnreadableRoster."""
    digest = await asyncio.to_thread(digest_of, file)
    async with database.transaction() as tx:
        if (known := await _same_import(tx, area, digest.sha256)) is not None:
            return known
    layout = await asyncio.to_thread(examine, file)
    key, sealed_key = new_key(vault.sealer, digest.sha256)
    import_id: UUID = new_id()
    object_name = f"rosters/{digest.sha256[:2]}/{digest.sha256}-{import_id.hex}"
    try:
        await stores.put(object_name, lambda: encrypted(file, key, digest.sha256))
    except OSError as error:
        raise Unavailable(
            "档案存储暂不可写，花名册未保存，请稍后重试 (an archive store cannot be written; nothing was kept)"
        ) from error
    async with database.transaction() as tx:
        inserted = await tx.connection.execute(
            insert(roster_imports)
            .values(
                import_id=import_id,
                area=area,
                sha256=digest.sha256,
                size=digest.size,
                format=layout.format,
                encoding=layout.encoding,
                sealed_key=sealed_key,
                object_name=object_name,
                rows=layout.rows,
                imported_by=caller.sub,
                imported_at=tx.now,
                imported_on=on,
            )
            .on_conflict_do_nothing(constraint="the_same_file_is_the_same_import")
        )
        if inserted.rowcount == 1:
            tx.publish(RosterImported(import_id=import_id, version=1, area=area, status="started"))
            await record(tx, caller, "take over roster", str(import_id), area=area, rows=layout.rows)
            return import_id
        known = await _same_import(tx, area, digest.sha256)
    await stores.remove(object_name)
    assert known is not None
    return known


async def read_import(tx: Transaction, caller: Principal, import_id: UUID) -> dict[str, Any]:
    """The import with its counts. NotFound outside one's area."""
    row = await _import(tx, import_id)
    if row is None:
        raise NotFound("no such roster import")
    caller.require_sight(row["area"], "roster import")
    counts = (await tx.connection.execute(_COUNTS, {"import_id": import_id})).mappings().one()
    status = "reading" if row["read_at"] is None else "judging" if row["decided_at"] is None else "finished"
    last = row["answered_at"] or row["read_at"]
    is_late = last is not None and last + _HEARD_WITHIN < tx.now
    return {**row, **counts, "status": status, "unanswered": counts["waiting"] if is_late else 0}


class RosterReading:
    """Reads what was received, chunk by chunk; safe to run at several places, one of which gets on with a file."""

    def __init__(self, database: Database, stores: TwoStores, vault: Vault) -> None:
        self._database = database
        self._stores = stores
        self._vault = vault

    async def step(self) -> bool:
        """Reads the oldest file that is not read to its end, or finishes what is decided; False: nothing to do."""
        async with self._database.transaction() as tx:
            under_way = (await tx.connection.execute(_UNDER_WAY)).mappings().all()
        for found in under_way:
            if found["read_at"] is None:
                await self.read(found["import_id"])
                return True
        finished = [await self._finish(found["import_id"]) for found in under_way if not found["is_waiting"]]
        return any(finished)

    async def read(self, import_id: UUID) -> None:
        """To the end of the file, or until somebody else is found reading it."""
        async with self._database.transaction() as tx:
            found = await _import(tx, import_id)
            if found is None or found["read_at"] is not None:
                return
            on: date = found["imported_on"]
            deadlines = (await parameters_of(tx, found["area"])).deadlines(on)
        due_on = working_days_after(on, deadlines.review["civil_affairs"])
        rows = self._rows(found)
        position: int = found["position"]
        while chunk := await asyncio.to_thread(lambda: list(islice(rows, CHUNK_ROWS))):
            read: list[ReadRow] = []
            for place in range(0, len(chunk), _SLICE_ROWS):
                read += recipients_in(self._vault, chunk[place : place + _SLICE_ROWS], found, due_on)
                await asyncio.sleep(0)
            async with self._database.transaction() as tx:
                if not await _has_come_to(tx, import_id, position):
                    return
                await _take(tx, self._vault, found, read)
                position += len(chunk)
                await tx.connection.execute(_ADVANCE, {"import_id": import_id, "position": position})
        async with self._database.transaction() as tx:
            await tx.connection.execute(_READ, {"import_id": import_id, "now": tx.now})

    def _rows(self, found: RowMapping) -> Iterator[Row]:
        key = opened_key(found["sealed_key"], self._vault.sealer, found["sha256"])

        def parts() -> Iterator[bytes]:
            first, second = self._stores.both
            try:
                stored = first.read(found["object_name"], STORED_SEGMENT_BYTES)
                yield from decrypted(stored, key, found["sha256"])
            except FileNotFoundError:
                stored = second.read(found["object_name"], STORED_SEGMENT_BYTES)
                yield from decrypted(stored, key, found["sha256"])

        return read_rows(parts(), found["format"], found["encoding"], after=found["position"])

    async def _finish(self, import_id: UUID) -> bool:
        """Tells that everybody is decided on."""
        async with self._database.transaction() as tx:
            found = await tx.connection.execute(_FINISH, {"import_id": import_id, "now": tx.now})
            area = found.scalar_one_or_none()
            if area is None:
                return False
            # On the lane of what it is about: whoever hears of the end has read all that came before.
            tx.publish(RosterImported(import_id=import_id, version=2, area=area, status="finished"), bulk=True)
            return True


async def _take(tx: Transaction, vault: Vault, found: RowMapping, read: Sequence[ReadRow]) -> None:
    """Notes a chunk: who is on it, what they apply for, and what cannot be taken over."""
    import_id = found["import_id"]
    rejects = [
        (import_id, row.number, problem.field, "invalid", problem.reason) for row in read for problem in row.problems
    ]
    sound = [(row.number, row.recipient) for row in read if row.recipient is not None]
    numbers = {recipient.person_id: number for number, recipient in reversed(sound)}
    portions = [f"{import_id}:{row.number}" for row in read[::_PORTION]]
    await tx.lock(*numbers, *portions)
    stored = await tx.connection.execute(_STORED, {"person_ids": list(numbers)})
    is_known = {row.person_id: row.is_known for row in stored}
    entered = await tx.connection.execute(_LISTED, {"import_id": import_id, "person_ids": list(numbers)})
    first_rows = numbers | {row.person_id: row.row for row in entered}
    taken: list[tuple[int, Recipient]] = []
    for number, recipient in sound:
        if (first := first_rows[recipient.person_id]) != number:
            reason = f"名册上重复, 首见于第 {first} 行 (is on the roster twice)"
            rejects.append((import_id, number, "id_number", "invalid", reason))
        elif is_known.get(recipient.person_id, False):
            reason = "系统已有: 已申请、在发或曾发 (is known here already: applied, is paid or was paid)"
            rejects.append((import_id, number, "id_number", "known", reason))
        else:
            taken.append((number, recipient))
            if (unpayable := recipient.entry.unpayable) is not None:
                rejects.append((import_id, number, unpayable.field, "unpayable", unpayable.reason))
    await _save(tx, vault, found, taken, is_known.keys())
    _tell_listed(tx, found, portions, [recipient.listed for _, recipient in taken])
    await copy_rows(tx, "roster_rejects", ("import_id", "row", "field", "kind", "reason"), rejects)


async def _save(
    tx: Transaction,
    vault: Vault,
    found: RowMapping,
    taken: Sequence[tuple[int, Recipient]],
    stored: Collection[str],
) -> None:
    """The persons, their applications, and the entries that await the judgement."""
    persons = [recipient.person_row for _, recipient in taken if recipient.person_id not in stored]
    applications = [row for _, recipient in taken for row in recipient.application_rows]
    subsidies = [
        (row["application_id"], subsidy, row["person_id"], "open")
        for row in applications
        for subsidy in row["subsidies"]
    ]
    entries = []
    for number, recipient in taken:
        if recipient.person_id in stored:
            recipient = await with_what_is_known(tx, vault, recipient, on=found["imported_on"])
        entries.append((found["import_id"], number, recipient.person_id, recipient.received, recipient.prepared))
    for table, rows in (("persons", persons), ("applications", applications)):
        if rows:
            await copy_rows(tx, table, tuple(rows[0]), [tuple(row.values()) for row in rows])
    await copy_rows(tx, "applied_subsidies", ("application_id", "subsidy", "person_id", "state"), subsidies)
    await copy_rows(tx, "roster_entries", ("import_id", "row", "person_id", "received", "prepared"), entries)


def _tell_listed(
    tx: Transaction, found: RowMapping, portions: Sequence[str], listed: Sequence[ListedRecipient]
) -> None:
    """Asks for the judgement, some of them in each event."""
    for place, portion in zip(range(0, len(listed), _PORTION), portions, strict=False):
        told = RecipientsListed(
            version=1,
            import_id=found["import_id"],
            portion=portion,
            imported_on=found["imported_on"],
            recipients=tuple(listed[place : place + _PORTION]),
        )
        tx.publish(told, bulk=True)


async def _import(tx: Transaction, import_id: UUID) -> RowMapping | None:
    found = await tx.connection.execute(select(roster_imports).where(roster_imports.c.import_id == import_id))
    return found.mappings().one_or_none()


async def _same_import(tx: Transaction, area: str, sha256: str) -> UUID | None:
    found = await tx.connection.execute(
        select(roster_imports.c.import_id).where(roster_imports.c.area == area, roster_imports.c.sha256 == sha256)
    )
    known: UUID | None = found.scalar_one_or_none()
    return known


async def _has_come_to(tx: Transaction, import_id: UUID, position: int) -> bool:
    """Whether the file is read up to there, with its row locked; not, when another reader was faster. Whoever decides
    refers to the row meanwhile, and does not wait for it."""
    found = await tx.connection.execute(
        text("SELECT position FROM roster_imports WHERE import_id = :import_id FOR NO KEY UPDATE"),
        {"import_id": import_id},
    )
    return bool(found.scalar_one() == position)


_UNDER_WAY = text(
    """
    SELECT import_id, read_at, EXISTS (
        SELECT FROM roster_entries e WHERE e.import_id = i.import_id AND e.state = 'waiting') AS is_waiting
    FROM roster_imports i WHERE decided_at IS NULL ORDER BY import_id
    """
)
_ADVANCE = text("UPDATE roster_imports SET position = :position WHERE import_id = :import_id")
_READ = text("UPDATE roster_imports SET read_at = :now WHERE import_id = :import_id AND read_at IS NULL")
_FINISH = text(
    """
    UPDATE roster_imports i SET decided_at = :now
    WHERE import_id = :import_id AND decided_at IS NULL AND read_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM roster_entries e WHERE e.import_id = i.import_id AND e.state = 'waiting')
    RETURNING area
    """
)
_STORED = text(
    """
    SELECT person_id, payee_version > 0 OR merged_into IS NOT NULL OR EXISTS (
        SELECT FROM applied_subsidies s WHERE s.person_id = p.person_id AND s.state IN ('open', 'granted')) AS is_known
    FROM persons p WHERE person_id = ANY(CAST(:person_ids AS text[]))
    """
)
_LISTED = text(
    """
    SELECT person_id, row FROM roster_entries
    WHERE import_id = :import_id AND person_id = ANY(CAST(:person_ids AS text[]))
    """
)
_COUNTS = text(
    """
    SELECT count(*) AS accepted, count(*) FILTER (WHERE state = 'waiting') AS waiting,
        count(*) FILTER (WHERE state = 'granted') AS granted,
        (SELECT count(DISTINCT row) FROM roster_rejects WHERE import_id = :import_id AND kind = 'invalid') AS rejected,
        (SELECT count(DISTINCT row) FROM roster_rejects WHERE import_id = :import_id AND kind = 'known') AS known,
        (SELECT count(DISTINCT row) FROM roster_rejects WHERE import_id = :import_id AND kind = 'refused') AS refused,
        (SELECT count(DISTINCT row) FROM roster_rejects WHERE import_id = :import_id AND kind = 'unpayable')
            AS unpayable
    FROM roster_entries WHERE import_id = :import_id
    """
)

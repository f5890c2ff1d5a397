"""Two ids turn out to be one person (a corrected resident ID): what was paid, claimed, held and proven under the one
counts for the other from then on, so that no month is owed a second time.

Eligibility tells it with the schedules that change by it, on both ids; whichever comes first, everything moves before
that schedule counts. The payments keep their ids: the bank knows them by these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.eligibility import EntitlementChanged
from libs.common.privacy import Sealer
from services.disbursement.handlers.heirs import move_heirs
from services.disbursement.handlers.institutions import entrust

_MOVED = ("openings", "findings", "recoveries", "disallowances", "institution_children", "institution_uses")


async def merge_persons(sealer: Sealer, tx: Transaction, told: Iterable[EntitlementChanged]) -> None:
    """Moves what is kept under ids that go on under another one. What was merged before stays as it is."""
    pairs = sorted({pair for event in told for pair in _pairs(event)})
    if not pairs:
        return
    await tx.lock(*{person_id for pair in pairs for person_id in pair})
    for old, into in pairs:
        root = (await survivors(tx, {into}))[into]  # told late, it may have gone on under another one itself
        await tx.lock(root)
        if old != root and await _is_news(tx, old, root):
            await _move(tx, old, root)
            await move_heirs(sealer, tx, old, root)


async def survivors(tx: Transaction, person_ids: Collection[str]) -> dict[str, str]:
    """Under which id each of these goes on now; its own, if it was never merged."""
    merged = await tx.connection.execute(
        text("SELECT person_id, into_person_id FROM merged_persons WHERE person_id = ANY(CAST(:ids AS text[]))"),
        {"ids": list(person_ids)},
    )
    return {person_id: person_id for person_id in person_ids} | {row.person_id: row.into_person_id for row in merged}


async def without_merged(tx: Transaction, schedules: Sequence[EntitlementChanged]) -> list[EntitlementChanged]:
    """Those of persons who go on under their own id: what another id was entitled to before, is its survivor's."""
    merged = set(
        (
            await tx.connection.execute(
                text("SELECT person_id FROM merged_persons WHERE person_id = ANY(CAST(:ids AS text[]))"),
                {"ids": [schedule.person_id for schedule in schedules]},
            )
        ).scalars()
    )
    return [schedule for schedule in schedules if schedule.person_id not in merged]


def _pairs(event: EntitlementChanged) -> list[tuple[str, str]]:
    if event.merged_into is not None:
        return [(event.person_id, event.merged_into)]
    return [(member, event.person_id) for member in event.members]


async def _is_news(tx: Transaction, old: str, root: str) -> bool:
    """Notes that an id goes on under another one, with whoever went on under it."""
    await tx.connection.execute(
        text("UPDATE merged_persons SET into_person_id = :root, merged_at = :now WHERE into_person_id = :old"),
        {"old": old, "root": root, "now": tx.now},
    )
    known = await tx.connection.execute(
        text(
            "INSERT INTO merged_persons (person_id, into_person_id, merged_at) VALUES (:old, :root, :now)"
            " ON CONFLICT (person_id) DO UPDATE SET into_person_id = excluded.into_person_id,"
            " merged_at = excluded.merged_at WHERE merged_persons.into_person_id <> excluded.into_person_id"
            " RETURNING person_id"
        ),
        {"old": old, "root": root, "now": tx.now},
    )
    return known.scalar_one_or_none() is not None


async def _move(tx: Transaction, old: str, root: str) -> None:
    both = {"old": old, "root": root}
    await tx.connection.execute(_MOVE_PAYMENTS, both)
    await tx.connection.execute(_JOIN_STAYS, both)
    await tx.connection.execute(_DROP_STAYS, both)
    await tx.connection.execute(_JOIN_DISALLOWANCES, both)
    for table in _MOVED:
        statement = f"UPDATE {table} SET person_id = :root WHERE person_id = :old"  # noqa: S608 (a constant)
        await tx.connection.execute(text(statement), both)
    await tx.connection.execute(text("DELETE FROM entitled_spans WHERE person_id = :old"), both)
    await entrust(tx, {root})


# An institution's child under both ids is one child: days that overlap are the survivor's alone.
_JOIN_STAYS = text(
    """
    UPDATE institution_children r SET payees = int8range(least(lower(r.payees), lower(o.payees)), upper(r.payees))
    FROM institution_children o
    WHERE r.person_id = :root AND o.person_id = :old AND r.org_code = o.org_code AND r.days && o.days
      AND r.payees IS NOT NULL AND o.payees IS NOT NULL
    """
)
_DROP_STAYS = text(
    """
    DELETE FROM institution_children o
    WHERE o.person_id = :old
      AND EXISTS (SELECT FROM institution_children r WHERE r.person_id = :root AND r.days && o.days)
    """
)
# What was decided of one month under both ids: entitled once, the month is not due by the greater of the two.
_JOIN_DISALLOWANCES = text(
    """
    WITH second AS (
        DELETE FROM disallowances o USING disallowances r
        WHERE o.person_id = :old AND r.person_id = :root AND r.subsidy = o.subsidy AND r.period = o.period
        RETURNING o.*
    )
    UPDATE disallowances r SET whole = r.whole OR s.whole, amount_fen = greatest(r.amount_fen, s.amount_fen)
    FROM second s
    WHERE r.person_id = :root AND r.subsidy = s.subsidy AND r.period = s.period
    """
)
# Attempts at one month are numbered on: those of the survivor come first.
_MOVE_PAYMENTS = text(
    """
    UPDATE payments p SET person_id = :root, drawn_up_for = coalesce(p.drawn_up_for, p.person_id),
        attempt = p.attempt + coalesce(
        (SELECT max(q.attempt) FROM payments q
         WHERE q.person_id = :root AND q.subsidy = p.subsidy AND q.period = p.period), 0)
    WHERE p.person_id = :old
    """
)

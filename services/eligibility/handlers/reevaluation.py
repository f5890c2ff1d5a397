"""After a policy was approved: everybody it can touch is judged anew, chunk by chunk, on the bulk lane.

The place reached is stored with each chunk's effects, so a process that dies is continued by the next.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.eligibility import PolicyReevaluated
from services.eligibility.handlers.applications import assess_applications
from services.eligibility.handlers.entitlements import recompute

_CHUNK_PERSONS = 500
_CHUNK_APPLICATIONS = 500


async def reevaluate_chunk(tx: Transaction) -> bool:
    """Judges the next persons of the oldest unfinished re-evaluation, and when they are through the next open
    applications; False when there is nothing to do."""
    job = (await tx.connection.execute(_NEXT_JOB)).one_or_none()
    if job is None:
        return False
    found = await tx.connection.execute(
        NEXT_PERSONS, {"after": job.after_person, "prefix": job.area + "%", "chunk": _CHUNK_PERSONS}
    )
    person_ids = list(found.scalars())
    changed = 0
    if person_ids:
        await tx.lock(*person_ids)
        causes = dict.fromkeys(person_ids, "policy.changed")
        changed = (await recompute(tx, causes, areas={}, bulk=True)).changed
    after_application, finished = job.after_application, False
    if len(person_ids) < _CHUNK_PERSONS:
        open_ids = await _next_open(tx, job.area, job.after_application)
        await assess_applications(tx, open_ids)
        after_application = open_ids[-1] if open_ids else after_application
        finished = len(open_ids) < _CHUNK_APPLICATIONS
    row = (
        await tx.connection.execute(
            _ADVANCE,
            {
                "policy_id": job.policy_id,
                "after": person_ids[-1] if person_ids else job.after_person,
                "persons": len(person_ids),
                "changed": changed,
                "after_application": after_application,
                "finished": finished,
            },
        )
    ).one()
    if finished:
        tx.publish(
            PolicyReevaluated(
                policy_id=job.policy_id,
                version=2,
                area=job.area,
                status="finished",
                persons=row.persons,
                changed=row.changed,
            ),
            bulk=True,
        )
    return True


async def _next_open(tx: Transaction, area: str, after: UUID | None) -> list[UUID]:
    """The next open applications of an area, their persons locked."""
    found = await tx.connection.execute(
        _NEXT_OPEN, {"prefix": area + "%", "after": after, "chunk": _CHUNK_APPLICATIONS}
    )
    listed = found.all()
    await tx.lock(*{row.person_id for row in listed})
    return [row.application_id for row in listed]


_NEXT_JOB = text(
    """
    SELECT policy_id, area, after_person, after_application FROM reevaluations WHERE finished_at IS NULL
    ORDER BY policy_id LIMIT 1 FOR UPDATE SKIP LOCKED
    """
)

NEXT_PERSONS = text(
    """
    SELECT person_id FROM persons
    WHERE person_id > :after AND merged_into IS NULL
      AND EXISTS (SELECT 1 FROM unnest(lived_in) AS lived (area) WHERE lived.area LIKE :prefix)
    ORDER BY person_id LIMIT :chunk
    """
)

_NEXT_OPEN = text(
    """
    SELECT application_id, person_id FROM applications
    WHERE status IN ('submitted', 'in_review', 'returned') AND area LIKE :prefix
      AND (CAST(:after AS uuid) IS NULL OR application_id > CAST(:after AS uuid))
    ORDER BY application_id LIMIT :chunk
    """
)

_ADVANCE = text(
    """
    UPDATE reevaluations SET after_person = :after, after_application = CAST(:after_application AS uuid),
        persons = persons + :persons, changed = changed + :changed,
        finished_at = CASE WHEN :finished THEN now() END
    WHERE policy_id = :policy_id RETURNING persons, changed
    """
)

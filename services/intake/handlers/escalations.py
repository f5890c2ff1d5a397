"""What an office is late with comes before the office above it: the daily run, and who is to look."""

from __future__ import annotations

from datetime import date

from sqlalchemy import text

from libs.common.database import Transaction

# What waits past its day, with the office it waits for. `areas.py`: a prefecture has four digits, a province two.
_LATE = """
    SELECT 'review' AS kind, application_id AS subject_id, stage AS office, area, due_on FROM applications
    WHERE status IN ('submitted', 'in_review') AND stage IS NOT NULL AND due_on < :as_of
      AND NOT EXISTS (SELECT FROM forwardings f WHERE f.application_id = applications.application_id
                      AND f.forwarded_on IS NULL)
    UNION ALL
    SELECT 'forwarding', application_id, 'accepting', accepted_area, forward_due_on FROM forwardings
    WHERE forwarded_on IS NULL AND forward_due_on < :as_of
    UNION ALL
    SELECT 'forwarding', application_id, 'deciding', deciding_area, decide_due_on FROM forwardings
    WHERE forwarded_on IS NOT NULL AND decided_on IS NULL AND decide_due_on < :as_of
    UNION ALL
    SELECT 'forwarding', application_id, 'telling', accepted_area, tell_due_on FROM forwardings
    WHERE decided_on IS NOT NULL AND told_on IS NULL AND tell_due_on < :as_of
    UNION ALL
    SELECT 'transfer', transfer_id, 'receiving', to_area, due_on FROM transfers
    WHERE status = 'proposed' AND due_on < :as_of
    UNION ALL
    SELECT 'objection', objection_id, 'civil_affairs', area, due_on FROM objections
    WHERE status = 'open' AND due_on < :as_of
    UNION ALL
    SELECT 'handling', objection_id, 'civil_affairs', area, handle_by FROM objections
    WHERE handled_on IS NULL AND handle_by < :as_of
    UNION ALL
    SELECT 'completion', task_id, 'township', area, due_on FROM completion_tasks
    WHERE done_on IS NULL AND due_on < :as_of
    UNION ALL
    SELECT 'register_lead', lead_id, 'township', p.area, due_on FROM register_leads JOIN persons p USING (person_id)
    WHERE status = 'open' AND due_on < :as_of
    UNION ALL
    -- The subject is the body itself.
    SELECT 'archive_check', CAST(md5(area || office) AS uuid), office, area, due_on FROM check_duties(:as_of)
    WHERE due_on < :as_of
"""

_RESOLVE = text(
    f"WITH late AS ({_LATE}) UPDATE escalations e SET resolved_on = :as_of WHERE e.resolved_on IS NULL"  # noqa: S608 (joins constants of this module)
    " AND NOT EXISTS (SELECT FROM late WHERE (late.kind, late.subject_id, late.office, late.due_on)"
    " = (e.kind, e.subject_id, e.office, e.due_on))"
)
_ESCALATE = text(
    f"WITH late AS ({_LATE}) INSERT INTO escalations"  # noqa: S608 (joins constants of this module)
    " (kind, subject_id, office, area, escalated_to, due_on, escalated_on)"
    " SELECT kind, subject_id, office, area,"
    " left(area, CASE WHEN length(area) > 6 THEN 6 WHEN length(area) > 4 THEN 4 ELSE 2 END), due_on, :as_of FROM late"
    " ON CONFLICT (kind, subject_id, office, due_on) DO NOTHING"
)


async def escalate_what_is_late(tx: Transaction, as_of: date) -> int:
    """Brings what was due before `as_of` before the office above, once for each deadline; how many were new.

    What is no longer late is resolved.
    """
    await tx.connection.execute(_RESOLVE, {"as_of": as_of})
    return (await tx.connection.execute(_ESCALATE, {"as_of": as_of})).rowcount

"""What must always hold in intake's tables, checked in production too."""

from __future__ import annotations

from libs.common.invariants import Invariant

INVARIANTS = [
    Invariant(
        "approved by three",
        "an approved application has the approvals of three stages by three different persons, or was taken over",
        """
        SELECT a.application_id, count(DISTINCT latest.stage) AS stages, count(DISTINCT latest.sub) AS persons
        FROM applications a
        LEFT JOIN (
            SELECT DISTINCT ON (application_id, stage) application_id, stage, outcome, sub
            FROM reviews ORDER BY application_id, stage, version DESC
        ) latest ON latest.application_id = a.application_id AND latest.outcome = 'approve'
        WHERE a.status = 'approved' AND a.channel <> 'roster'
        GROUP BY a.application_id
        HAVING count(DISTINCT latest.stage) < 3 OR count(DISTINCT latest.sub) < 3
        """,
    ),
    Invariant(
        "approved as assessed",
        "what an approved application grants was eligible in an assessment of the facts as confirmed",
        """
        SELECT a.application_id, granted.subsidy
        FROM applications a CROSS JOIN unnest(a.granted) AS granted(subsidy)
        WHERE a.status = 'approved' AND NOT EXISTS (
            SELECT 1 FROM assessments s CROSS JOIN jsonb_array_elements(s.decisions) AS decision
            WHERE s.application_id = a.application_id AND s.application_version = a.version - 1
              AND decision ->> 'subsidy' = granted.subsidy AND (decision -> 'eligible')::boolean)
        """,
    ),
    Invariant(
        "once open or granted",
        "no person has a subsidy open or granted in two applications",
        """
        SELECT person_id, subsidy, count(*) AS times FROM applied_subsidies
        WHERE state IN ('open', 'granted') GROUP BY person_id, subsidy HAVING count(*) > 1
        """,
    ),
    Invariant(
        "taken over as decided",
        "what was taken over from a roster stands as its application does: waiting, granted, or refused with reasons",
        """
        SELECT e.import_id, e.row, e.state, a.status
        FROM roster_entries e JOIN applications a USING (import_id, person_id)
        WHERE CASE WHEN e.state = 'waiting' THEN a.status <> 'in_review'
            WHEN a.status <> 'rejected' THEN e.state = 'refused' AND a.township_by IS NULL  -- unless reopened
            ELSE NOT EXISTS (
                SELECT FROM roster_rejects r WHERE r.import_id = e.import_id AND r.row = e.row AND r.kind = 'refused')
            END
        """,
    ),
    Invariant(
        "subsidies as the application",
        "what became of each subsidy agrees with its application",
        """
        SELECT a.application_id, a.status, s.subsidy, s.state
        FROM applied_subsidies s JOIN applications a USING (application_id)
        WHERE s.state <> CASE
            WHEN a.status IN ('submitted', 'in_review', 'returned') THEN 'open'
            WHEN a.status IN ('rejected', 'withdrawn') THEN 'closed'
            WHEN s.subsidy = ANY(a.granted) THEN CASE s.state WHEN 'ended' THEN 'ended' ELSE 'granted' END
            ELSE 'refused' END
        """,
    ),
    Invariant(
        "changed by two",
        "every account and guardian change in force was approved by another person than proposed it",
        "SELECT change_id FROM changes WHERE status = 'approved' AND approved_by = proposed_by",
    ),
    Invariant(
        "one payee",
        "no person has two accounts or two guardians in force",
        """
        SELECT person_id FROM accounts WHERE replaced_at IS NULL GROUP BY person_id HAVING count(*) > 1
        UNION ALL
        SELECT person_id FROM guardians WHERE replaced_at IS NULL GROUP BY person_id HAVING count(*) > 1
        """,
    ),
]

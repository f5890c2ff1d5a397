-- Recoveries whose plan is not kept: instalments are overdue, or those that are left cover less than what is outstanding.
-- Where a share of later payments is set off, too, it covers the rest.
WITH planned AS (
    SELECT r.recovery_id, r.person_id, r.area, r.offset_percent, m.outstanding_fen,
           i.planned_fen - m.repaid_fen + CAST(r.plan ->> 'recovered_fen' AS bigint) AS ahead_fen,
           i.due_fen - m.repaid_fen + CAST(r.plan ->> 'recovered_fen' AS bigint) AS behind_fen
    FROM recoveries r
    CROSS JOIN LATERAL (
        SELECT sum(amount_fen)::bigint AS planned_fen,
               coalesce(sum(amount_fen) FILTER (WHERE due_on < CAST(:as_of AS date)), 0)::bigint AS due_fen
        FROM jsonb_to_recordset(r.plan -> 'instalments') AS instalment (due_on date, amount_fen bigint)
    ) AS i
    CROSS JOIN LATERAL (
        SELECT sum(claimed_fen - repaid_fen - written_off_fen)::bigint AS outstanding_fen,
               sum(repaid_fen)::bigint AS repaid_fen
        FROM recovery_months WHERE recovery_id = r.recovery_id
    ) AS m
    WHERE r.status = 'open' AND i.planned_fen > 0
),
found AS (
    SELECT *, least(greatest(behind_fen, 0), outstanding_fen) AS overdue_fen,
           CASE WHEN offset_percent > 0 THEN 0 ELSE outstanding_fen - least(greatest(ahead_fen, 0), outstanding_fen) END
           AS unplanned_fen
    FROM planned
)
SELECT 'plan_behind' AS kind, CAST(recovery_id AS text) AS subject, CAST(NULL AS uuid) AS payment_id, area,
       CAST(NULL AS date) AS period, person_id, CAST(NULL AS uuid) AS cycle_id,
       jsonb_build_object('overdue_fen', overdue_fen, 'unplanned_fen', unplanned_fen) AS detail
FROM found
WHERE overdue_fen > 0 OR unplanned_fen > 0

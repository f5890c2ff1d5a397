-- Common table expressions after `scope` (person_id, subsidy) and `entitled` (their months, each once): what is recorded of
-- every month from since to upto, and `months`, the two together: what is entitled (less what was disallowed),
-- settled (of it set off), repaid, with the bank (sent) and drawn up (pending). Paid is what is settled and not repaid.
recorded AS (
    SELECT person_id, subsidy, period,
           sum(amount_fen) FILTER (WHERE status = 'settled')::bigint AS settled_fen,
           sum(offset_fen) FILTER (WHERE status = 'settled')::bigint AS offset_fen,
           sum(amount_fen) FILTER (WHERE status = 'repaid')::bigint AS repaid_fen,
           sum(CASE status WHEN 'settled' THEN amount_fen WHEN 'repaid' THEN -amount_fen END)::bigint AS paid_fen,
           sum(amount_fen) FILTER (WHERE status = 'sent')::bigint AS sent_fen,
           sum(amount_fen) FILTER (WHERE status = 'pending')::bigint AS pending_fen,
           sum(amount_fen) FILTER (WHERE status = 'disallowed')::bigint AS disallowed_fen,
           bool_or(status = 'not_due') AS not_due,
           bool_or(status IN ('sent', 'pending')) AS on_its_way,
           max(attempt) AS attempts
    FROM (
        SELECT person_id, subsidy, period, status, amount_fen, offset_fen, attempt
        FROM payments
        WHERE (person_id, subsidy) IN (SELECT person_id, subsidy FROM scope)
          AND period BETWEEN CAST(:since AS date) AND CAST(:upto AS date)
        UNION ALL
        SELECT person_id, subsidy, period, 'settled', amount_fen, 0, 0
        FROM opening_months
        WHERE (person_id, subsidy) IN (SELECT person_id, subsidy FROM scope)
          AND period BETWEEN CAST(:since AS date) AND CAST(:upto AS date)
        UNION ALL
        SELECT person_id, subsidy, period, 'repaid', repaid_fen, 0, 0
        FROM recoveries
        JOIN recovery_months USING (recovery_id)
        WHERE (person_id, subsidy) IN (SELECT person_id, subsidy FROM scope)
          AND period BETWEEN CAST(:since AS date) AND CAST(:upto AS date)
        UNION ALL
        SELECT person_id, subsidy, period, CASE WHEN whole THEN 'not_due' ELSE 'disallowed' END, amount_fen, 0, 0
        FROM disallowances
        WHERE (person_id, subsidy) IN (SELECT person_id, subsidy FROM scope)
          AND period BETWEEN CAST(:since AS date) AND CAST(:upto AS date)
    ) AS entries
    GROUP BY person_id, subsidy, period
),
months AS (
    SELECT person_id, subsidy, period, e.area, e.level, e.version,
           CASE WHEN r.not_due THEN 0
                ELSE greatest(coalesce(e.amount_fen, 0) - coalesce(r.disallowed_fen, 0), 0) END AS entitled_fen,
           coalesce(r.settled_fen, 0) AS settled_fen,
           coalesce(r.offset_fen, 0) AS offset_fen,
           coalesce(r.repaid_fen, 0) AS repaid_fen,
           coalesce(r.paid_fen, 0) AS paid_fen,
           coalesce(r.sent_fen, 0) AS sent_fen,
           coalesce(r.pending_fen, 0) AS pending_fen,
           coalesce(r.on_its_way, false) AS on_its_way,
           coalesce(r.attempts, 0) AS attempts
    FROM entitled e
    FULL JOIN recorded r USING (person_id, subsidy, period)
)

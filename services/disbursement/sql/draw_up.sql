-- Draws up a cycle: a payment for what is due of every month in its area, an exception for what something stands in the
-- way of. A month whose payment is drawn up or with the bank waits for what becomes of it.
WITH scope AS (
    SELECT DISTINCT person_id, subsidy
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) AND lower(months) <= CAST(:upto AS date)
),
/* months */,
-- The oldest recovery that may be set off, and what of it no payment on its way will set off already.
offsettable AS (
    SELECT DISTINCT ON (r.person_id, r.subsidy) r.person_id, r.subsidy, r.recovery_id, r.offset_percent,
           m.outstanding_fen - coalesce(w.offset_fen, 0) AS free_fen
    FROM recoveries r
    JOIN scope USING (person_id, subsidy)
    CROSS JOIN LATERAL (
        SELECT sum(claimed_fen - repaid_fen - written_off_fen) AS outstanding_fen
        FROM recovery_months WHERE recovery_id = r.recovery_id
    ) AS m
    CROSS JOIN LATERAL (
        SELECT sum(offset_fen) AS offset_fen FROM payments
        WHERE person_id = r.person_id AND subsidy = r.subsidy AND offset_recovery_id = r.recovery_id
          AND status IN ('pending', 'sent')
    ) AS w
    WHERE r.status = 'open' AND r.offset_percent > 0
    ORDER BY r.person_id, r.subsidy, r.recovery_id
),
due AS (
    SELECT *, entitled_fen - paid_fen AS due_fen
    FROM judged
    WHERE area LIKE :area || '%' AND entitled_fen > paid_fen AND sent_fen + pending_fen = 0
),
payable AS (
    SELECT *, due_fen * offset_percent / 100 AS share_fen
    FROM due
    LEFT JOIN offsettable USING (person_id, subsidy)
    WHERE hold_kind IS NULL AND obstacle IS NULL
),
drawn AS (
    INSERT INTO payments (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level,
                          amount_fen, offset_fen, offset_recovery_id, entitled_fen, paid_before_fen)
    SELECT payment_id(person_id, subsidy, period, attempts + 1), period, person_id, subsidy, attempts + 1, CAST(:cycle_id AS uuid),
           area, level, due_fen, kept_fen, CASE WHEN kept_fen > 0 THEN recovery_id END, entitled_fen, paid_fen
    FROM (
        SELECT *, coalesce(greatest(least(share_fen, free_fen - coalesce(sum(share_fen) OVER earlier, 0)), 0), 0)::bigint
                  AS kept_fen
        FROM payable
        WINDOW earlier AS (PARTITION BY person_id, subsidy ORDER BY period
                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) AS shared
    ORDER BY period, person_id
)
INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id)
SELECT CAST(:cycle_id AS uuid), person_id, subsidy, period, due_fen,
       CASE WHEN hold_kind IS NULL THEN 'unpayable' ELSE 'held' END, coalesce(hold_kind, obstacle), finding_id
FROM due
WHERE hold_kind IS NOT NULL OR obstacle IS NOT NULL

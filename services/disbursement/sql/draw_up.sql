-- Draws up a cycle's months from since to upto: a payment for what is due of every month in its area, an exception for
-- what something stands in the way of. A month whose payment is drawn up or with the bank waits for what becomes of it.
-- Its own month goes into the table of that month, which may still be about to become a partition. Earlier ones are
-- looked at of those who are behind (entitlements.paid_up_to).
-- The planner takes `=` and IS NULL on what was computed for rare, and would loop over a million rows for a few: hence
-- is_payable, and the last month by itself.
WITH scope AS (
    SELECT person_id, subsidy
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) /* behind */
),
entitled AS (
    SELECT person_id, subsidy, CAST(:upto AS date) AS period, amount_fen, area, level
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) AND months @> CAST(:upto AS date) /* behind */
    UNION ALL
    SELECT person_id, subsidy, month::date, amount_fen, area, level
    FROM generate_series(
        CAST(:since AS timestamp), CAST(:upto AS timestamp) - interval '1 month', interval '1 month'
    ) AS month
    JOIN entitled_spans ON month >= lower(months) AND month < coalesce(upper(months), 'infinity')
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) /* behind */
),
/* recorded */,
/* judged */,
due AS MATERIALIZED (
    SELECT person_id, subsidy, period, area, level, attempts, entitled_fen, paid_fen, entitled_fen - paid_fen AS due_fen,
           hold_kind, obstacle, finding_id, hold_kind IS NULL AND obstacle IS NULL AS is_payable
    FROM judged
    WHERE area IS NOT NULL  -- else it is only recorded: nobody here is entitled to it
      AND entitled_fen > paid_fen AND NOT on_its_way
),
-- The oldest recovery that may be set off, and what of it no payment on its way will set off already.
offsettable AS (
    SELECT DISTINCT ON (r.person_id, r.subsidy) r.person_id, r.subsidy, r.recovery_id, r.offset_percent,
           m.outstanding_fen - coalesce(w.offset_fen, 0) AS free_fen
    FROM recoveries r
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
shared AS MATERIALIZED (
    SELECT person_id, subsidy, period, recovery_id,
           greatest(least(share_fen, free_fen - coalesce(sum(share_fen) OVER earlier, 0)), 0)::bigint AS kept_fen
    FROM (
        SELECT *, due_fen * offset_percent / 100 AS share_fen
        FROM due
        JOIN offsettable USING (person_id, subsidy)
        WHERE is_payable
    ) AS payable
    WINDOW earlier AS (PARTITION BY person_id, subsidy ORDER BY period
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
drawn AS (
    INSERT INTO /* payments */ (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level,
                          amount_fen, offset_fen, offset_recovery_id, entitled_fen, paid_before_fen)
    SELECT payment_id(person_id, subsidy, period, attempts + 1), period, person_id, subsidy, attempts + 1,
           CAST(:cycle_id AS uuid), area, level, due_fen, coalesce(kept_fen, 0),
           CASE WHEN kept_fen > 0 THEN recovery_id END, entitled_fen, paid_fen
    FROM due
    LEFT JOIN shared USING (person_id, subsidy, period)
    WHERE is_payable /* ordered */
)
INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id)
SELECT CAST(:cycle_id AS uuid), person_id, subsidy, period, due_fen,
       CASE WHEN hold_kind IS NULL THEN 'unpayable' ELSE 'held' END, coalesce(hold_kind, obstacle), finding_id
FROM due
WHERE NOT is_payable

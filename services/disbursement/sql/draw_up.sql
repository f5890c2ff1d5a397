-- Draws up a cycle: a payment for what is due of every month in its area, an exception for what something stands in the
-- way of. A month whose payment is drawn up or with the bank waits for what becomes of it.
-- Payments of the cycle's own month go into the table /* month_table */: its partition, or what is about to become it.
WITH entitled AS (
    SELECT person_id, subsidy, CAST(:upto AS date) AS period, amount_fen, area, level
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) AND months @> CAST(:upto AS date)
    UNION ALL
    SELECT s.person_id, s.subsidy, month::date, s.amount_fen, s.area, s.level
    FROM entitled_spans s
    CROSS JOIN LATERAL generate_series(
        lower(s.months)::timestamp,
        least(upper(s.months), CAST(:upto AS date)) - interval '1 month',
        interval '1 month'
    ) AS month
    WHERE s.area LIKE :area || '%' AND s.subsidy = ANY(CAST(:subsidies AS text[]))
      AND lower(s.months) < CAST(:upto AS date)
),
attempted AS (
    SELECT p.person_id, p.subsidy, p.period,
           coalesce(sum(p.amount_fen) FILTER (WHERE p.status = 'settled'), 0) AS settled_fen,
           bool_or(p.status IN ('pending', 'sent')) AS on_its_way,
           max(p.attempt) AS attempts
    FROM payments p
    WHERE p.period <= CAST(:upto AS date) AND EXISTS (
        SELECT FROM entitled_spans s
        WHERE s.person_id = p.person_id AND s.subsidy = p.subsidy AND s.area LIKE :area || '%'
          AND s.subsidy = ANY(CAST(:subsidies AS text[]))
    )
    GROUP BY p.person_id, p.subsidy, p.period
),
repaid AS (
    SELECT r.person_id, r.subsidy, m.period, sum(m.repaid_fen) AS repaid_fen
    FROM recoveries r
    JOIN recovery_months m USING (recovery_id)
    WHERE m.repaid_fen > 0
    GROUP BY r.person_id, r.subsidy, m.period
),
-- Of sql/months.sql, what a draft needs: months entitled to, and of these only those that are owed something. Whatever
-- counts as paid there counts here.
months AS MATERIALIZED (
    SELECT * FROM (
        SELECT e.person_id, e.subsidy, e.period, e.area, e.level, coalesce(a.attempts, 0) AS attempts,
               greatest(e.amount_fen - coalesce(d.amount_fen, 0), 0) AS entitled_fen,
               (coalesce(a.settled_fen, 0) + coalesce(o.amount_fen, 0) - coalesce(r.repaid_fen, 0))::bigint AS paid_fen
        FROM entitled e
        LEFT JOIN attempted a USING (person_id, subsidy, period)
        LEFT JOIN opening_months o USING (person_id, subsidy, period)
        LEFT JOIN repaid r USING (person_id, subsidy, period)
        LEFT JOIN disallowances d USING (person_id, subsidy, period)
        WHERE a.on_its_way IS NOT TRUE
    ) AS known
    WHERE entitled_fen > paid_fen
),
/* judged */,
due AS MATERIALIZED (
    SELECT *, entitled_fen - paid_fen AS due_fen FROM judged
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
shared AS (
    SELECT person_id, subsidy, period, recovery_id,
           greatest(least(share_fen, free_fen - coalesce(sum(share_fen) OVER earlier, 0)), 0)::bigint AS kept_fen
    FROM (
        SELECT *, due_fen * offset_percent / 100 AS share_fen
        FROM due
        JOIN offsettable USING (person_id, subsidy)
        WHERE hold_kind IS NULL AND obstacle IS NULL
    ) AS payable
    WINDOW earlier AS (PARTITION BY person_id, subsidy ORDER BY period
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
drawn AS (
    SELECT payment_id(person_id, subsidy, period, attempts + 1) AS payment_id, period, person_id, subsidy,
           attempts + 1 AS attempt, CAST(:cycle_id AS uuid) AS cycle_id, area, level, due_fen AS amount_fen,
           coalesce(kept_fen, 0) AS offset_fen, CASE WHEN kept_fen > 0 THEN recovery_id END AS offset_recovery_id,
           entitled_fen, paid_fen AS paid_before_fen
    FROM due
    LEFT JOIN shared USING (person_id, subsidy, period)
    WHERE hold_kind IS NULL AND obstacle IS NULL
),
arrears AS (
    INSERT INTO payments (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level,
                          amount_fen, offset_fen, offset_recovery_id, entitled_fen, paid_before_fen)
    SELECT * FROM drawn WHERE period < CAST(:upto AS date) ORDER BY period, person_id
),
of_the_month AS (
    INSERT INTO /* month_table */ (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level,
                          amount_fen, offset_fen, offset_recovery_id, entitled_fen, paid_before_fen)
    SELECT * FROM drawn WHERE period = CAST(:upto AS date) /* ordered */
)
INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id)
SELECT CAST(:cycle_id AS uuid), person_id, subsidy, period, due_fen,
       CASE WHEN hold_kind IS NULL THEN 'unpayable' ELSE 'held' END, coalesce(hold_kind, obstacle), finding_id
FROM due
WHERE hold_kind IS NOT NULL OR obstacle IS NOT NULL

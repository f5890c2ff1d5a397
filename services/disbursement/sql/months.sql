-- Common table expressions between `scope` (person_id, subsidy) and what a query asks: every month of these persons up
-- to the last one asked for, with what is entitled (less what was disallowed), settled (of it set off), repaid, with the bank (sent) and
-- drawn up (pending).
sides AS (
    SELECT s.person_id, s.subsidy, month::date AS period, s.amount_fen AS entitled_fen, s.area, s.level,
           0 AS settled_fen, 0 AS offset_fen, 0 AS repaid_fen, 0 AS sent_fen, 0 AS pending_fen, 0 AS attempt
    FROM scope
    JOIN entitled_spans s USING (person_id, subsidy)
    CROSS JOIN LATERAL generate_series(
        lower(s.months)::timestamp,
        least(upper(s.months) - interval '1 month', CAST(:upto AS date)),
        interval '1 month'
    ) AS month
    UNION ALL
    SELECT p.person_id, p.subsidy, p.period, 0, NULL, NULL,
           CASE p.status WHEN 'settled' THEN p.amount_fen ELSE 0 END,
           CASE p.status WHEN 'settled' THEN p.offset_fen ELSE 0 END,
           0,
           CASE p.status WHEN 'sent' THEN p.amount_fen ELSE 0 END,
           CASE p.status WHEN 'pending' THEN p.amount_fen ELSE 0 END,
           p.attempt
    FROM scope
    JOIN payments p USING (person_id, subsidy)
    WHERE p.period <= CAST(:upto AS date)
    UNION ALL
    SELECT o.person_id, o.subsidy, o.period, 0, NULL, NULL, o.amount_fen, 0, 0, 0, 0, 0
    FROM scope
    JOIN opening_months o USING (person_id, subsidy)
    WHERE o.period <= CAST(:upto AS date)
    UNION ALL
    SELECT r.person_id, r.subsidy, m.period, 0, NULL, NULL, 0, 0, m.repaid_fen, 0, 0, 0
    FROM scope
    JOIN recoveries r USING (person_id, subsidy)
    JOIN recovery_months m USING (recovery_id)
    WHERE m.repaid_fen > 0 AND m.period <= CAST(:upto AS date)
    UNION ALL
    SELECT d.person_id, d.subsidy, d.period, -d.amount_fen, NULL, NULL, 0, 0, 0, 0, 0, 0
    FROM scope
    JOIN disallowances d USING (person_id, subsidy)
    WHERE d.period <= CAST(:upto AS date)
),
months AS (
    SELECT person_id, subsidy, period, max(area) AS area, max(level) AS level,
           greatest(sum(entitled_fen), 0)::bigint AS entitled_fen,
           sum(offset_fen)::bigint AS offset_fen,
           sum(settled_fen)::bigint AS settled_fen,
           sum(repaid_fen)::bigint AS repaid_fen,
           (sum(settled_fen) - sum(repaid_fen))::bigint AS paid_fen,
           sum(sent_fen)::bigint AS sent_fen,
           sum(pending_fen)::bigint AS pending_fen,
           max(attempt) AS attempts
    FROM sides
    GROUP BY person_id, subsidy, period
)

-- Common table expressions between `scope` (person_id, subsidy) and what a query asks: every month of these persons from
-- since to upto, entitled to or not, with what is recorded of it (sql/recorded.sql).
entitled AS (
    SELECT s.person_id, s.subsidy, month::date AS period, s.amount_fen, s.area, s.level, s.version
    FROM entitled_spans s
    CROSS JOIN LATERAL generate_series(
        greatest(lower(s.months), CAST(:since AS date))::timestamp,
        least(upper(s.months) - interval '1 month', CAST(:upto AS date)),
        interval '1 month'
    ) AS month
    WHERE (s.person_id, s.subsidy) IN (SELECT person_id, subsidy FROM scope)
),
/* recorded */

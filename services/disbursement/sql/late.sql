-- Counties of which entitled persons wait: the month's pay day has passed and no cycle over their place and subsidy was
-- submitted, or what was submitted is not settled yet (notice 6.1).
SELECT 'payment_late' AS kind, concat_ws('/', s.area, to_char(CAST(:period AS date), 'YYYY-MM')) AS subject,
       CAST(NULL AS uuid) AS payment_id, s.area, CAST(:period AS date) AS period, CAST(NULL AS text) AS person_id,
       CAST(NULL AS uuid) AS cycle_id,
       jsonb_build_object('pay_by_day', s.pay_by_day, 'subsidies', jsonb_agg(DISTINCT e.subsidy),
                          'state', CASE WHEN bool_and(c.settled IS NOT NULL) THEN 'not settled' ELSE 'not submitted' END) AS detail
FROM payment_schedules s
JOIN (
    SELECT DISTINCT area, subsidy FROM entitled_spans WHERE months @> CAST(:period AS date)
) AS e ON starts_with(e.area, s.area)
CROSS JOIN LATERAL (
    SELECT bool_and(status IN ('settled', 'closed')) AS settled
    FROM cycles
    WHERE period = :period AND submitted_at IS NOT NULL
      AND starts_with(e.area, area) AND coalesce(subsidy, e.subsidy) = e.subsidy
) AS c
WHERE CAST(:as_of AS date) > CAST(:period AS date) + s.pay_by_day - 1 AND c.settled IS NOT TRUE
GROUP BY s.area, s.pay_by_day

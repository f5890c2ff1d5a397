-- Counties of which entitled persons wait: the month's pay day, their own or that of the nearest area above, has passed and
-- no cycle over their place and subsidy was submitted, or what was submitted is not settled yet (notice 6.1).
SELECT 'payment_late' AS kind, concat_ws('/', left(e.area, 6), to_char(CAST(:period AS date), 'YYYY-MM')) AS subject,
       CAST(NULL AS uuid) AS payment_id, left(e.area, 6) AS area, CAST(:period AS date) AS period,
       CAST(NULL AS text) AS person_id, CAST(NULL AS uuid) AS cycle_id,
       jsonb_build_object('pay_by_day', min(s.pay_by_day), 'subsidies', jsonb_agg(DISTINCT e.subsidy),
                          'state', CASE WHEN bool_and(c.settled IS NOT NULL) THEN 'not settled' ELSE 'not submitted' END) AS detail
FROM (
    SELECT DISTINCT area, subsidy FROM entitled_spans WHERE months @> CAST(:period AS date)
) AS e
CROSS JOIN LATERAL (
    SELECT pay_by_day FROM payment_schedules WHERE starts_with(e.area, area) ORDER BY length(area) DESC LIMIT 1
) AS s
CROSS JOIN LATERAL (
    SELECT bool_and(status IN ('settled', 'closed')) AS settled
    FROM cycles
    WHERE period = :period AND submitted_at IS NOT NULL
      AND starts_with(e.area, area) AND coalesce(subsidy, e.subsidy) = e.subsidy
) AS c
WHERE CAST(:as_of AS date) > CAST(:period AS date) + s.pay_by_day - 1 AND c.settled IS NOT TRUE
GROUP BY left(e.area, 6)

-- Counties of which entitled persons wait: the month's pay day has passed and no cycle over them was submitted, or what
-- was submitted is not settled yet (notice 6.1).
SELECT 'payment_late' AS kind, concat_ws('/', s.area, to_char(CAST(:period AS date), 'YYYY-MM')) AS subject,
       CAST(NULL AS uuid) AS payment_id, s.area, CAST(:period AS date) AS period, CAST(NULL AS text) AS person_id,
       CAST(NULL AS uuid) AS cycle_id,
       jsonb_build_object('pay_by_day', s.pay_by_day, 'state', coalesce(c.state, 'not submitted')) AS detail
FROM payment_schedules s
LEFT JOIN LATERAL (
    SELECT CASE WHEN bool_and(status IN ('settled', 'closed')) THEN 'done' ELSE 'not settled' END AS state
    FROM cycles
    WHERE period = :period AND submitted_at IS NOT NULL AND (starts_with(s.area, area) OR starts_with(area, s.area))
    HAVING count(*) > 0
) AS c ON true
WHERE CAST(:as_of AS date) > CAST(:period AS date) + s.pay_by_day - 1
  AND c.state IS DISTINCT FROM 'done'
  AND EXISTS (SELECT FROM entitled_spans e WHERE e.area LIKE s.area || '%' AND e.months @> CAST(:period AS date))

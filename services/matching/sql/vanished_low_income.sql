-- Gone from the register of dibao and the like (低保名册中消失), notice 3: on it without an end in the snapshot compared
-- before, and in no row of today's, read or not. Only living rests on it.
WITH gone AS (
    SELECT b.person_id, b.category, b.feed_id, b.feed_row
    FROM low_income_before b
    WHERE b.to_on IS NULL AND b.last_paid_on IS NULL AND b.category <> 'monitored'
        AND NOT EXISTS (SELECT 1 FROM low_income n WHERE n.person_id = b.person_id)
        AND NOT EXISTS (SELECT 1 FROM low_income_unread u WHERE u.person_id = b.person_id)
),
missed AS (
    SELECT MAX(n.as_of) AS missed_on FROM low_income_now n
)
SELECT g.person_id, 'living' AS subsidy, 'low_income.exited' AS kind, m.missed_on AS alleged_on,
    m.missed_on AS stops_on, CAST(NULL AS INT) AS last_month,
    g.category AS word, CAST(NULL AS DATE) AS until_on, g.feed_id, g.feed_row
FROM gone g
CROSS JOIN missed m

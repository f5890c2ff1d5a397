-- The population register (公安人口库), notice 3: moved to another county, struck off, missing, declared missing or dead.
-- Struck off is taken for a death, which the verification finds out; a move within a county changes nothing.
WITH changes AS (
    SELECT p.*,
        CASE p.event WHEN 'cancelled' THEN 'person.died' ELSE concat('person.', p.event) END AS kind,
        year(p.occurred_on) * 12 + month(p.occurred_on) - 1
            + CASE WHEN day(p.occurred_on) = 1 AND p.event <> 'cancelled' THEN 0 ELSE 1 END AS first_month
    FROM population p
    WHERE p.event <> 'reappeared'
)
SELECT DISTINCT r.person_id, r.area, c.kind, c.occurred_on AS alleged_on,
    CASE WHEN c.event = 'moved' THEN c.area ELSE c.reason END AS word, CAST(NULL AS DATE) AS until_on, c.feed_id, c.feed_row
FROM roster r
JOIN changes c ON c.person_id = r.person_id
WHERE (r.to_month IS NULL OR r.to_month >= c.first_month)
    AND (c.event <> 'moved' OR substring(c.area, 1, 6) <> substring(r.area, 1, 6))

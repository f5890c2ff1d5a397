-- Serving in prison (监狱服刑), notice 3: only sentences that are served inside stop a subsidy, and only for a month that
-- lies in custody as a whole. Detention before trial, probation, parole and serving outside do not.
WITH serving AS (
    SELECT p.*,
        year(p.from_on) * 12 + month(p.from_on) - 1 + CASE WHEN day(p.from_on) = 1 THEN 0 ELSE 1 END AS first_month,
        year(p.to_on + 1) * 12 + month(p.to_on + 1) - 2 AS last_month
    FROM prisons p
    WHERE p.kind IN ('serving', 'detention_serving')
)
SELECT DISTINCT r.person_id, r.area, 'person.imprisoned' AS kind, s.from_on AS alleged_on,
    s.kind AS word, s.to_on AS until_on, s.feed_id, s.feed_row
FROM roster r
JOIN serving s ON s.person_id = r.person_id
WHERE (s.last_month IS NULL OR s.last_month >= s.first_month)
    AND (r.to_month IS NULL OR r.to_month >= s.first_month)
    AND (s.last_month IS NULL OR r.from_month <= s.last_month)

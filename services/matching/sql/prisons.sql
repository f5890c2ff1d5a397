-- Serving in prison (监狱服刑), notice 3: only sentences that are served inside stop a subsidy, and only for a month that
-- lies in custody as a whole. Detention before trial, probation, parole and serving outside do not.
SELECT p.person_id, CAST(NULL AS STRING) AS subsidy, 'person.imprisoned' AS kind, p.from_on AS alleged_on,
    p.from_on AS stops_on, year(p.to_on + 1) * 12 + month(p.to_on + 1) - 2 AS last_month,
    p.kind AS word, p.to_on AS until_on, p.feed_id, p.feed_row
FROM prisons p
WHERE p.kind IN ('serving', 'detention_serving')

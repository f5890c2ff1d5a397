-- Cremations (殡葬火化), notice 3: persons with a payable month after the month of cremation. The day of death comes
-- from the verification.
SELECT DISTINCT r.person_id, r.area, 'person.died' AS kind, c.occurred_on AS alleged_on,
    CAST(NULL AS STRING) AS word, CAST(NULL AS DATE) AS until_on, c.feed_id, c.feed_row
FROM roster r
JOIN cremations c ON c.person_id = r.person_id
WHERE r.to_month IS NULL OR r.to_month > year(c.occurred_on) * 12 + month(c.occurred_on) - 1

-- Cremations (殡葬火化), notice 3. The day of death comes from the verification; until then it is that of the cremation.
SELECT c.person_id, CAST(NULL AS STRING) AS subsidy, 'person.died' AS kind, c.occurred_on AS alleged_on,
    c.occurred_on + 1 AS stops_on, CAST(NULL AS INT) AS last_month,
    CAST(NULL AS STRING) AS word, CAST(NULL AS DATE) AS until_on, c.feed_id, c.feed_row
FROM cremations c

-- Deaths known to health (卫健死亡人口), notice 3. The day of death still counts.
SELECT d.person_id, CAST(NULL AS STRING) AS subsidy, 'person.died' AS kind, d.occurred_on AS alleged_on,
    d.occurred_on + 1 AS stops_on, CAST(NULL AS INT) AS last_month,
    CAST(NULL AS STRING) AS word, CAST(NULL AS DATE) AS until_on, d.feed_id, d.feed_row
FROM deaths d

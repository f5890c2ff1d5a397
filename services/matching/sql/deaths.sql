-- Deaths known to health (卫健死亡人口), notice 3: persons with a payable month after the month of death.
SELECT DISTINCT r.person_id, r.area, 'person.died' AS kind, d.occurred_on AS alleged_on,
    CAST(NULL AS STRING) AS word, CAST(NULL AS DATE) AS until_on, d.feed_id, d.feed_row
FROM roster r
JOIN deaths d ON d.person_id = r.person_id
WHERE r.to_month IS NULL OR r.to_month > year(d.occurred_on) * 12 + month(d.occurred_on) - 1

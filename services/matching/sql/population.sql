-- The population register (公安人口库), notice 3: moved to another county, struck off, missing, declared missing or dead.
-- Struck off is taken for a death, which the verification finds out; a move within a county changes nothing (`leads.sql`).
SELECT p.person_id, CAST(NULL AS STRING) AS subsidy,
    CASE p.event WHEN 'cancelled' THEN 'person.died' ELSE concat('person.', p.event) END AS kind,
    p.occurred_on AS alleged_on, CASE p.event WHEN 'cancelled' THEN p.occurred_on + 1 ELSE p.occurred_on END AS stops_on,
    CAST(NULL AS INT) AS last_month, CASE p.event WHEN 'moved' THEN p.area ELSE p.reason END AS word,
    CAST(NULL AS DATE) AS until_on, p.feed_id, p.feed_row
FROM population p
WHERE p.event <> 'reappeared'

-- Declared missing or dead by a court (法院宣告), notice 3.
SELECT d.person_id, CAST(NULL AS STRING) AS subsidy, concat('person.', d.event) AS kind, d.occurred_on AS alleged_on,
    d.occurred_on AS stops_on, CAST(NULL AS INT) AS last_month,
    CAST(NULL AS STRING) AS word, CAST(NULL AS DATE) AS until_on, d.feed_id, d.feed_row
FROM court_declarations d
WHERE d.event IN ('declared_dead', 'declared_missing')

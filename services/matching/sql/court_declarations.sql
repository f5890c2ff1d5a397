-- Declared missing or dead by a court (法院宣告), notice 3.
WITH declared AS (
    SELECT d.*,
        year(d.occurred_on) * 12 + month(d.occurred_on) - 1
            + CASE WHEN day(d.occurred_on) = 1 THEN 0 ELSE 1 END AS first_month
    FROM court_declarations d
    WHERE d.event IN ('declared_dead', 'declared_missing')
)
SELECT DISTINCT r.person_id, r.area, concat('person.', d.event) AS kind, d.occurred_on AS alleged_on,
    CAST(NULL AS STRING) AS word, CAST(NULL AS DATE) AS until_on, d.feed_id, d.feed_row
FROM roster r
JOIN declared d ON d.person_id = r.person_id
WHERE r.to_month IS NULL OR r.to_month >= d.first_month

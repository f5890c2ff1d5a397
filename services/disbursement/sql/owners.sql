-- Whose payments these ids are: from the books where they know them, else by making the ids of the named months again,
-- for everybody and the first attempts.
WITH wanted AS (
    SELECT unnest(CAST(:ids AS uuid[])) AS payment_id
),
named AS (
    SELECT * FROM unnest(CAST(:subsidies AS text[]), CAST(:periods AS date[])) AS n (subsidy, period)
),
candidates AS MATERIALIZED (
    SELECT payment_id(e.person_id, e.subsidy, n.period, attempt) AS payment_id,
           e.person_id, e.subsidy, n.period, attempt, e.area
    FROM named n
    JOIN entitlements e USING (subsidy)
    CROSS JOIN generate_series(1, 6) AS attempt
)
SELECT w.payment_id, p.person_id, p.subsidy, p.period, p.attempt, p.area, p.level, p.amount_fen - p.offset_fen AS amount_fen
FROM wanted w JOIN payments p USING (payment_id) JOIN payees y USING (person_id)
WHERE y.version > 0
UNION ALL
SELECT w.payment_id, c.person_id, c.subsidy, c.period, c.attempt, coalesce(s.area, c.area), coalesce(s.level, 1), NULL
FROM wanted w
JOIN candidates c USING (payment_id)
JOIN payees y USING (person_id)
LEFT JOIN entitled_spans s ON s.person_id = c.person_id AND s.subsidy = c.subsidy AND s.months @> c.period
WHERE y.version > 0 AND NOT EXISTS (SELECT FROM payments p WHERE p.payment_id = w.payment_id)

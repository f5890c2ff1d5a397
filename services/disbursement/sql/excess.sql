-- Per month that was ever paid: what was settled beyond what is entitled (negative: less), for persons who have such a
-- month or a case already, and the book that the money came from.
WITH scope AS (
    SELECT DISTINCT * FROM unnest(CAST(:person_ids AS text[]), CAST(:subsidies AS text[])) AS s (person_id, subsidy)
),
/* months */,
touched AS (
    SELECT person_id, subsidy FROM months WHERE settled_fen > entitled_fen
    UNION
    SELECT r.person_id, r.subsidy FROM scope JOIN recoveries r USING (person_id, subsidy)
)
SELECT m.person_id, m.subsidy, m.period, m.settled_fen - m.entitled_fen AS excess_fen,
       coalesce(p.area, o.area) AS area, coalesce(p.book_area, o.book_area) AS book_area,
       coalesce(p.book_year, o.book_year) AS book_year
FROM touched
JOIN months m USING (person_id, subsidy)
LEFT JOIN LATERAL (
    SELECT area, book_area, book_year
    FROM payments
    WHERE person_id = m.person_id AND subsidy = m.subsidy AND period = m.period AND status = 'settled'
    ORDER BY attempt DESC
    LIMIT 1
) AS p ON true
LEFT JOIN opening_months o ON o.person_id = m.person_id AND o.subsidy = m.subsidy AND o.period = m.period
WHERE m.settled_fen > 0
ORDER BY m.person_id, m.subsidy, m.period

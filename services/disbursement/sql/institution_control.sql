-- What was paid to an institution and is nobody's money yet; and per use and per payment what is booked of it otherwise.
SELECT person_id, org_code, payment_id::text AS cause_id, 0 AS booked_fen, amount_fen FROM to_entrust
UNION ALL
SELECT person_id, org_code, cause_id, coalesce(b.amount_fen, 0), coalesce(r.amount_fen, 0)
FROM (
    SELECT person_id, org_code, use_id::text AS cause_id, amount_fen FROM institution_uses
) AS r
FULL JOIN (
    SELECT person_id, org_code, cause_id, sum(amount_fen) AS amount_fen FROM personal_postings
    WHERE cause IN ('institution_use', 'institution_return')
    GROUP BY person_id, org_code, cause_id
) AS b USING (person_id, org_code, cause_id)
WHERE r.amount_fen IS DISTINCT FROM b.amount_fen
UNION ALL
SELECT b.person_id, b.org_code, b.cause_id, b.amount_fen, coalesce(p.amount_fen, 0)
FROM (
    SELECT person_id, org_code, cause_id,
           sum(CASE cause WHEN 'entrusting' THEN amount_fen ELSE -amount_fen END) AS amount_fen
    FROM personal_postings
    WHERE cause IN ('entrusting', 'entrusting_reversed')
    GROUP BY person_id, org_code, cause_id
) AS b
LEFT JOIN (
    SELECT person_id, payment_id::text AS cause_id, amount_fen - offset_fen AS amount_fen FROM payments
    WHERE status = 'settled' AND holder = 'institution'
) AS p USING (person_id, cause_id)
WHERE b.amount_fen <> coalesce(p.amount_fen, 0)

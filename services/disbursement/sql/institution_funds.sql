-- Per child of an institution: what was paid to it while the institution was the guardian, what it used, what is left.
WITH children AS (
    SELECT person_id, min(area) AS area FROM institution_children
    WHERE org_code = :org AND area LIKE :area || '%'
    GROUP BY person_id
),
booked AS (
    SELECT b.person_id, u.category,
           sum(CASE WHEN 'institution_funds' = b.debit THEN b.amount_fen ELSE -b.amount_fen END)::bigint AS fen
    FROM personal_postings b
    LEFT JOIN institution_uses u
         ON u.use_id = CASE WHEN b.cause IN ('institution_use', 'institution_return') THEN b.cause_id::uuid END
    WHERE b.org_code = :org AND b.booked_on <= coalesce(CAST(:on AS date), 'infinity')
    GROUP BY b.person_id, u.category
)
SELECT c.person_id, c.area, coalesce(sum(b.fen) FILTER (WHERE b.category IS NULL), 0)::bigint AS received_fen,
       coalesce(jsonb_object_agg(b.category, -b.fen) FILTER (WHERE b.category IS NOT NULL), '{}') AS used,
       coalesce(-sum(b.fen) FILTER (WHERE b.category IS NOT NULL), 0)::bigint AS used_fen,
       coalesce(sum(b.fen), 0)::bigint AS unspent_fen
FROM children c
LEFT JOIN booked b USING (person_id)
GROUP BY c.person_id, c.area
ORDER BY c.person_id

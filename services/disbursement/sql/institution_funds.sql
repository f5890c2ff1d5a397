-- Per child of an institution: what was paid to it while the institution was the guardian, what it used, what is left.
WITH received AS (
    SELECT c.person_id, min(c.area) AS area, coalesce(sum(p.amount_fen - p.offset_fen), 0)::bigint AS received_fen
    FROM institution_children c
    LEFT JOIN payments p ON p.person_id = c.person_id AND p.status = 'settled' AND p.holder = 'institution'
         AND CASE WHEN c.payees IS NULL THEN c.days @> p.settled_on ELSE c.payees @> p.payee_version END
         AND p.settled_on <= coalesce(CAST(:on AS date), 'infinity')
    WHERE c.org_code = :org AND c.area LIKE :area || '%'
    GROUP BY c.person_id
),
used AS (
    SELECT person_id, jsonb_object_agg(category, amount_fen) AS used, sum(amount_fen)::bigint AS used_fen
    FROM (
        SELECT person_id, category, sum(amount_fen)::bigint AS amount_fen
        FROM institution_uses
        WHERE org_code = :org AND used_on <= coalesce(CAST(:on AS date), 'infinity')
        GROUP BY person_id, category
    ) AS by_category
    GROUP BY person_id
)
SELECT r.person_id, r.area, r.received_fen, coalesce(u.used, '{}') AS used, coalesce(u.used_fen, 0) AS used_fen,
       r.received_fen - coalesce(u.used_fen, 0) AS unspent_fen
FROM received r
LEFT JOIN used u USING (person_id)
ORDER BY r.person_id

-- Per child of an institution: what was paid to it while the institution was the guardian, what it used, what is left.
WITH children AS (
    SELECT person_id, min(area) AS area, range_agg(days) AS days
    FROM institution_children
    WHERE org_code = :org AND area LIKE :area || '%'
    GROUP BY person_id
),
received AS (
    SELECT c.person_id, coalesce(sum(p.amount_fen - p.offset_fen), 0)::bigint AS received_fen
    FROM children c
    LEFT JOIN payments p ON p.person_id = c.person_id AND p.status = 'settled' AND p.holder = 'institution'
         AND c.days @> p.settled_on AND p.settled_on <= coalesce(CAST(:on AS date), 'infinity')
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
SELECT c.person_id, c.area, r.received_fen, coalesce(u.used, '{}') AS used, coalesce(u.used_fen, 0) AS used_fen,
       r.received_fen - coalesce(u.used_fen, 0) AS unspent_fen
FROM children c
JOIN received r USING (person_id)
LEFT JOIN used u USING (person_id)
ORDER BY c.person_id

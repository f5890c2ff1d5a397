-- The same name with another ID (同名异号): who died or was cremated bears a recipient's name in the recipient's own
-- township, under an ID that nobody on the roster or with a certificate has. A note, never a finding: names repeat.
WITH told AS (
    SELECT person_id, name_token, area, occurred_on, feed_id, feed_row, 'deaths' AS source FROM deaths
    UNION ALL SELECT person_id, name_token, area, occurred_on, feed_id, feed_row, 'cremations' FROM cremations
),
gone AS (
    SELECT t.*
    FROM told t
    WHERE length(t.area) >= 9
        AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.person_id = t.person_id)
        AND NOT EXISTS (SELECT 1 FROM roster r WHERE r.person_id = t.person_id)
),
recipient AS (
    SELECT r.person_id, r.area
    FROM roster r
    WHERE r.area IN (SELECT g.area FROM gone g)
),
holder AS (
    SELECT r.person_id, r.area, c.name_token, c.feed_id, c.feed_row
    FROM certificates c
    JOIN recipient r ON r.person_id = c.person_id
    WHERE c.name_token IN (SELECT g.name_token FROM gone g)
)
SELECT DISTINCT h.person_id, h.area, 'other_id' AS kind, g.person_id AS other_person_id,
    'certificates' AS source, h.feed_id, h.feed_row, CAST(NULL AS DATE) AS said_on,
    g.source AS other_source, g.feed_id AS other_feed_id, g.feed_row AS other_feed_row,
    g.occurred_on AS other_said_on, g.person_id AS mark
FROM gone g
JOIN holder h ON h.name_token = g.name_token AND h.area = g.area

-- The same name with another ID (同名异号): who died or was cremated bears a recipient's name in the recipient's own
-- township, under an ID that nobody on the roster or with a certificate has. A note, never a finding: names repeat.
-- Nearly everybody is joined before few are left, so that rows are narrow until then; where they stand is looked up last.
WITH told AS (
    SELECT person_id, name_token, area, occurred_on, feed_id, feed_row, 'deaths' AS source FROM deaths
    UNION ALL SELECT person_id, name_token, area, occurred_on, feed_id, feed_row, 'cremations' FROM cremations
),
gone AS (
    SELECT t.person_id, t.name_token, t.area FROM told t WHERE length(t.area) >= 9
),
holder AS (
    SELECT r.person_id, r.area, c.name_token
    FROM certificates c
    JOIN roster r ON r.person_id = c.person_id
    WHERE c.name_token IN (SELECT g.name_token FROM gone g)
),
alike AS (
    SELECT DISTINCT h.person_id, h.area, h.name_token, g.person_id AS other_person_id
    FROM holder h
    JOIN gone g ON g.name_token = h.name_token AND g.area = h.area
    WHERE NOT EXISTS (SELECT 1 FROM certificates c WHERE c.person_id = g.person_id)
        AND NOT EXISTS (SELECT 1 FROM roster r WHERE r.person_id = g.person_id)
)
SELECT DISTINCT a.person_id, a.area, 'other_id' AS kind, a.other_person_id,
    'certificates' AS source, c.feed_id, c.feed_row, CAST(NULL AS DATE) AS said_on,
    t.source AS other_source, t.feed_id AS other_feed_id, t.feed_row AS other_feed_row,
    t.occurred_on AS other_said_on, a.other_person_id AS mark
FROM alike a
JOIN certificates c ON c.person_id = a.person_id AND c.name_token = a.name_token
JOIN told t ON t.person_id = a.other_person_id AND t.name_token = a.name_token AND t.area = a.area

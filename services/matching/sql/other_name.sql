-- The same ID with another name (同号异名): a note for who keeps the registers, never a finding. The federation's name is
-- set against those that the others give; letter case and ways of writing a middle dot are no difference.
WITH named AS (
    SELECT person_id, name_token, feed_id, feed_row, 'low_income' AS source FROM low_income
    UNION ALL SELECT person_id, name_token, feed_id, feed_row, 'deaths' FROM deaths
    UNION ALL SELECT person_id, name_token, feed_id, feed_row, 'cremations' FROM cremations
    UNION ALL SELECT person_id, name_token, feed_id, feed_row, 'population' FROM population
    UNION ALL SELECT person_id, name_token, feed_id, feed_row, 'court_declarations' FROM court_declarations
    UNION ALL SELECT person_id, name_token, feed_id, feed_row, 'prisons' FROM prisons
),
doubtful AS (  -- few: the rest need not be put in order
    SELECT DISTINCT c.person_id
    FROM certificates c
    JOIN named n ON n.person_id = c.person_id
    WHERE n.name_token <> c.name_token
),
holder AS (
    SELECT c.person_id, c.name_token, c.feed_id, c.feed_row, row_number() OVER (
        PARTITION BY c.person_id ORDER BY c.as_of DESC, c.feed_id DESC, c.feed_row DESC
    ) AS place
    FROM certificates c
    JOIN doubtful d ON d.person_id = c.person_id
    WHERE c.name_token IS NOT NULL
)
SELECT DISTINCT r.person_id, r.area, 'other_name' AS kind, CAST(NULL AS STRING) AS other_person_id,
    'certificates' AS source, h.feed_id, h.feed_row, CAST(NULL AS DATE) AS said_on,
    n.source AS other_source, n.feed_id AS other_feed_id, n.feed_row AS other_feed_row,
    CAST(NULL AS DATE) AS other_said_on, concat(h.name_token, n.name_token) AS mark
FROM holder h
JOIN named n ON n.person_id = h.person_id
JOIN roster r ON r.person_id = h.person_id
WHERE h.place = 1 AND n.name_token <> h.name_token

-- Two sources with two dates for one event (同事异日): a death after the cremation or more than 30 days before it, and a
-- declaration that the court and the population register date differently. A note beside the finding: the day is what
-- its verification has to settle.
WITH pairs AS (
    SELECT d.person_id, 'deaths' AS source, d.feed_id, d.feed_row, d.occurred_on AS said_on,
        'cremations' AS other_source, c.feed_id AS other_feed_id, c.feed_row AS other_feed_row, c.occurred_on AS other_said_on
    FROM deaths d
    JOIN cremations c ON c.person_id = d.person_id
    WHERE d.occurred_on > c.occurred_on OR c.occurred_on > d.occurred_on + 30
    UNION ALL
    SELECT j.person_id, 'court_declarations', j.feed_id, j.feed_row, j.occurred_on,
        'population', p.feed_id, p.feed_row, p.occurred_on
    FROM court_declarations j
    JOIN population p ON p.person_id = j.person_id AND p.event = j.event
    WHERE p.occurred_on <> j.occurred_on
)
SELECT DISTINCT r.person_id, r.area, 'two_dates' AS kind, CAST(NULL AS STRING) AS other_person_id,
    p.source, p.feed_id, p.feed_row, p.said_on, p.other_source, p.other_feed_id, p.other_feed_row, p.other_said_on,
    concat(CAST(p.said_on AS STRING), ' ', CAST(p.other_said_on AS STRING)) AS mark
FROM pairs p
JOIN roster r ON r.person_id = p.person_id

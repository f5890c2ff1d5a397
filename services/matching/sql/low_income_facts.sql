-- What civil affairs' feed says that was not known of dibao and the like: its own word is a fact (notice 3).
-- `known`: the low-income facts so far. A family has one status at a time; being monitored (监测对象) goes with any.
-- A time of grace (渐退期) is dibao until the formal exit.
WITH told AS (
    SELECT DISTINCT f.person_id, f.category, COALESCE(f.from_on, f.as_of) AS entered_on, f.from_on, f.area,
        LEAST(COALESCE(f.to_on, f.last_paid_on), COALESCE(f.last_paid_on, f.to_on)) AS until_on,
        CASE WHEN f.category = 'monitored' THEN 'monitored' ELSE 'family' END AS track
    FROM feed f
),
known_tracks AS (
    SELECT k.*, CASE WHEN k.category = 'monitored' THEN 'monitored' ELSE 'family' END AS track FROM known k
),
latest AS (
    SELECT k.*, row_number() OVER (
        PARTITION BY k.person_id, k.track ORDER BY k.occurred_on DESC, k.known_at DESC
    ) AS place
    FROM known_tracks k
),
entered AS (
    SELECT t.person_id, 'low_income.entered' AS kind, t.entered_on AS occurred_on, t.category, t.until_on, t.area
    FROM told t
    LEFT JOIN latest l ON l.person_id = t.person_id AND l.track = t.track AND l.place = 1
    WHERE (t.until_on IS NULL AND (
            l.person_id IS NULL
            OR (l.kind = 'low_income.entered' AND (l.category <> t.category OR t.entered_on < l.occurred_on))
            OR (l.kind = 'low_income.exited' AND t.entered_on >= l.occurred_on)))
        OR (t.until_on IS NOT NULL AND t.from_on IS NOT NULL AND l.person_id IS NULL)
),
exited AS (
    SELECT t.person_id, 'low_income.exited' AS kind, t.until_on + 1 AS occurred_on, t.category,
        CAST(NULL AS DATE) AS until_on, t.area
    FROM told t
    WHERE t.until_on IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM known_tracks k
            WHERE k.person_id = t.person_id AND k.track = t.track AND k.kind = 'low_income.exited'
                AND k.occurred_on <= t.until_on + 1 AND k.occurred_on > t.entered_on
        )
        AND NOT EXISTS (  -- in again the day after: the family only changed its category
            SELECT 1 FROM told o
            WHERE o.person_id = t.person_id AND o.track = t.track AND o.until_on IS NULL
                AND o.entered_on = t.until_on + 1
        )
)
SELECT f.person_id, f.kind, f.occurred_on, f.category, f.until_on, f.area
FROM (SELECT * FROM entered UNION ALL SELECT * FROM exited) f
WHERE NOT EXISTS (
    SELECT 1 FROM known k
    WHERE k.person_id = f.person_id AND k.kind = f.kind AND k.occurred_on = f.occurred_on
        AND k.category IS NOT DISTINCT FROM f.category
)

-- What civil affairs' feed says of other benefits that was not known. A benefit that turns up in a month that we pay for
-- is no fact yet but a lead: the comparison finds it, and the person may choose (notice 2). `everybody`: the rosters of
-- all areas, since whoever is paid elsewhere is paid.
WITH told AS (
    SELECT DISTINCT f.person_id, f.kind AS benefit, f.from_on, f.amount_fen, f.area,
        COALESCE(f.to_on, f.last_paid_on) AS until_on
    FROM feed f
),
clashing AS (
    SELECT DISTINCT t.person_id, t.benefit, t.from_on
    FROM told t
    JOIN excluding e ON e.kind = t.benefit
    JOIN everybody r ON r.person_id = t.person_id AND r.subsidy = e.subsidy
    LEFT JOIN allowing w
        ON w.kind = e.kind AND w.subsidy = e.subsidy AND w.county = substring(r.area, 1, 6)
        AND w.from_month <= GREATEST(r.from_month, year(t.from_on) * 12 + month(t.from_on) - 1)
    WHERE w.kind IS NULL
        AND (r.to_month IS NULL OR r.to_month >= year(t.from_on) * 12 + month(t.from_on) - 1)
        AND (t.until_on IS NULL OR r.from_month <= year(t.until_on) * 12 + month(t.until_on) - 1)
),
started AS (
    SELECT t.*
    FROM told t
    WHERE NOT EXISTS (
            SELECT 1 FROM clashing c
            WHERE c.person_id = t.person_id AND c.benefit = t.benefit AND c.from_on = t.from_on)
        AND NOT EXISTS (
            SELECT 1 FROM known k
            WHERE k.person_id = t.person_id AND k.kind = 'benefit.started' AND k.benefit = t.benefit
                AND k.occurred_on = t.from_on)
),
ended AS (  -- the end of a benefit whose start is known, as it stood without an end
    SELECT t.*
    FROM told t
    JOIN known s ON s.person_id = t.person_id AND s.kind = 'benefit.started' AND s.benefit = t.benefit
        AND s.occurred_on = t.from_on AND s.until_on IS DISTINCT FROM t.until_on
    WHERE t.until_on IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM known k
            WHERE k.person_id = t.person_id AND k.kind = 'benefit.ended' AND k.benefit = t.benefit
                AND k.occurred_on > t.from_on AND k.occurred_on <= t.until_on + 1)
)
SELECT person_id, 'benefit.started' AS kind, from_on AS occurred_on, benefit, amount_fen, until_on, area FROM started
UNION ALL
SELECT person_id, 'benefit.ended', until_on + 1, benefit, amount_fen, CAST(NULL AS DATE), area FROM ended

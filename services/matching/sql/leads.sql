-- Whom what was alleged concerns (notice 3): who has a month on the roster that would not be payable if it is true. Every
-- source's file says what it alleges, in a row of `alleged` each: of whom, and for which subsidy (NULL: both), what kind
-- of change on which day, from which day on nothing qualifies (`stops_on`; its month is still paid, unless it is the first),
-- and the last month lost (NULL: all that follow). Another benefit takes nothing in a county that pays beside it.
SELECT DISTINCT r.person_id, a.kind, a.source, a.alleged_on, r.area, a.word, a.until_on, a.feed_id, a.feed_row
FROM roster r
JOIN (
    SELECT l.*,
        year(l.stops_on) * 12 + month(l.stops_on) - 1 + CASE WHEN day(l.stops_on) = 1 THEN 0 ELSE 1 END AS first_month
    FROM alleged l
) a ON a.person_id = r.person_id
LEFT JOIN allowing w
    ON a.kind = 'benefit.started' AND w.kind = a.word AND w.subsidy = r.subsidy AND w.county = substring(r.area, 1, 6)
    AND w.from_month <= GREATEST(r.from_month, a.first_month)
WHERE w.kind IS NULL
    AND (a.subsidy IS NULL OR a.subsidy = r.subsidy)
    AND (r.to_month IS NULL OR r.to_month >= a.first_month)
    AND (a.last_month IS NULL OR (a.last_month >= a.first_month AND a.last_month >= r.from_month))
    AND (a.kind <> 'person.moved' OR a.word IS NULL OR substring(a.word, 1, 6) <> substring(r.area, 1, 6))

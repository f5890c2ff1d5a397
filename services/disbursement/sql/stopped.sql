-- Who was entitled to the end of the month before a period and is not any more, by cause.
SELECT left(s.area, :digits) AS area, s.subsidy, coalesce(e.stopped_because, e.cause) AS cause,
       count(DISTINCT s.person_id) AS persons
FROM entitled_spans s
JOIN entitlements e USING (person_id, subsidy)
WHERE s.area LIKE :area || '%' AND upper(s.months) = :period
  AND NOT EXISTS (
        SELECT FROM entitled_spans n
        WHERE n.person_id = s.person_id AND n.subsidy = s.subsidy AND n.months @> CAST(:period AS date)
    )
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3

-- The monthly table (月度统计表): per county and subsidy, what the cycles of one period came to.
WITH items AS (
    SELECT left(p.area, :digits) AS area, p.subsidy, p.person_id, p.amount_fen, p.status AS state,
           p.period < c.period AS is_arrears
    FROM payments p
    JOIN cycles c USING (cycle_id)
    WHERE c.period = :period AND c.submitted_at IS NOT NULL AND p.area LIKE :area || '%'
    UNION ALL
    SELECT left(c.area, :digits), x.subsidy, x.person_id, x.amount_fen, x.outcome, x.period < c.period
    FROM cycle_exceptions x
    JOIN cycles c USING (cycle_id)
    WHERE c.period = :period AND c.submitted_at IS NOT NULL AND c.area LIKE :area || '%'
)
SELECT area, subsidy,
       count(DISTINCT person_id) FILTER (WHERE state = 'settled') AS persons_paid,
       count(*) FILTER (WHERE state = 'settled') AS months_paid,
       coalesce(sum(amount_fen) FILTER (WHERE state = 'settled'), 0)::bigint AS paid_fen,
       coalesce(sum(amount_fen) FILTER (WHERE state = 'settled' AND is_arrears), 0)::bigint AS arrears_fen,
       coalesce(sum(amount_fen) FILTER (WHERE state IN ('pending', 'sent')), 0)::bigint AS in_flight_fen,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'returned') AS returned,
       coalesce(sum(amount_fen) FILTER (WHERE state IN ('failed', 'returned')), 0)::bigint AS came_back_fen,
       count(*) FILTER (WHERE state = 'held') AS held,
       count(*) FILTER (WHERE state = 'unpayable') AS unpayable,
       count(*) FILTER (WHERE state = 'dropped') AS dropped,
       coalesce(sum(amount_fen) FILTER (WHERE state IN ('held', 'unpayable', 'dropped')), 0)::bigint AS not_paid_fen
FROM items
GROUP BY area, subsidy
ORDER BY area, subsidy DESC

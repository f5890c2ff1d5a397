-- The monthly table (月度统计表): per area (a code of so many digits), subsidy, category and level, what the cycles of one
-- period came to; who is new, who was stopped and why, and what was recovered that month.
WITH items AS (
    SELECT left(p.area, :digits) AS area, p.subsidy, p.person_id, p.amount_fen, p.status AS state,
           p.period < c.period AS is_arrears, p.level, p.offset_fen, p.period,
           (SELECT s.category FROM entitled_spans s
            WHERE s.person_id = p.person_id AND s.subsidy = p.subsidy AND s.months @> p.period) AS category
    FROM payments p
    JOIN cycles c USING (cycle_id)
    WHERE c.period = :period AND c.submitted_at IS NOT NULL AND p.area LIKE :area || '%'
    UNION ALL
    SELECT left(c.area, :digits), x.subsidy, x.person_id, x.amount_fen, x.outcome, x.period < c.period,
           s.level, 0, x.period, s.category
    FROM cycle_exceptions x
    JOIN cycles c USING (cycle_id)
    LEFT JOIN entitled_spans s ON s.person_id = x.person_id AND s.subsidy = x.subsidy AND s.months @> x.period
    WHERE c.period = :period AND c.submitted_at IS NOT NULL AND c.area LIKE :area || '%'
    UNION ALL
    -- Entitled from this month on and not in the month before.
    SELECT left(s.area, :digits), s.subsidy, s.person_id, 0, 'new', false, s.level, 0, :period, s.category
    FROM entitled_spans s
    WHERE s.area LIKE :area || '%' AND lower(s.months) = :period
      AND NOT EXISTS (
            SELECT FROM entitled_spans e
            WHERE e.person_id = s.person_id AND e.subsidy = s.subsidy
              AND e.months @> CAST(CAST(:period AS date) - interval '1 month' AS date)
        )
    UNION ALL
    SELECT left(r.area, :digits), r.subsidy, r.person_id, y.amount_fen, 'recovered', false, NULL, 0, :period, NULL
    FROM repayments y
    JOIN recoveries r USING (recovery_id)
    WHERE r.area LIKE :area || '%' AND y.reversed_on IS NULL
      AND y.repaid_on >= :period AND y.repaid_on < CAST(:period AS date) + interval '1 month'
    UNION ALL
    SELECT area, subsidy, person_id, 0, 'stopped', false, level, 0, :period, category FROM (
        SELECT left(s.area, :digits) AS area, s.subsidy, s.person_id, s.level, s.category
        FROM entitled_spans s
        WHERE s.area LIKE :area || '%' AND upper(s.months) = :period
          AND NOT EXISTS (
                SELECT FROM entitled_spans e
                WHERE e.person_id = s.person_id AND e.subsidy = s.subsidy AND e.months @> CAST(:period AS date)
            )
    ) AS ended
)
SELECT area, subsidy,
       CASE WHEN :detailed THEN category END AS category,
       CASE WHEN :detailed THEN level END AS level,
       count(DISTINCT person_id) FILTER (WHERE state = 'settled') AS persons_paid,
       count(DISTINCT (person_id, period)) FILTER (WHERE state = 'settled') AS months_paid,
       coalesce(sum(amount_fen) FILTER (WHERE state = 'settled'), 0)::bigint AS paid_fen,
       coalesce(sum(amount_fen) FILTER (WHERE state = 'settled' AND is_arrears), 0)::bigint AS arrears_fen,
       coalesce(sum(offset_fen) FILTER (WHERE state = 'settled'), 0)::bigint AS offset_fen,
       coalesce(sum(amount_fen) FILTER (WHERE state IN ('pending', 'sent')), 0)::bigint AS in_flight_fen,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'returned') AS returned,
       coalesce(sum(amount_fen) FILTER (WHERE state IN ('failed', 'returned')), 0)::bigint AS came_back_fen,
       count(*) FILTER (WHERE state = 'held') AS held,
       count(*) FILTER (WHERE state = 'unpayable') AS unpayable,
       count(*) FILTER (WHERE state = 'dropped') AS dropped,
       coalesce(sum(amount_fen) FILTER (WHERE state IN ('held', 'unpayable', 'dropped')), 0)::bigint AS not_paid_fen,
       count(DISTINCT person_id) FILTER (WHERE state = 'new') AS persons_new,
       count(DISTINCT person_id) FILTER (WHERE state = 'stopped') AS persons_stopped,
       coalesce(sum(amount_fen) FILTER (WHERE state = 'recovered'), 0)::bigint AS recovered_fen
FROM items
GROUP BY 1, 2, 3, 4
ORDER BY area, subsidy DESC, category NULLS FIRST, level NULLS FIRST

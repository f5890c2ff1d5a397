-- Entitled months that were due when a later cycle over their area was drawn up, and are neither paid in full, on their
-- way, nor named in a cycle with the reason why not. What came back, was on its way that day, or was in a draft that was
-- given up since, waits for the next cycle.
WITH drawn AS (
    SELECT area, subsidy, period, max(created_at) AS created_at
    FROM cycles
    WHERE submitted_at IS NOT NULL
    GROUP BY area, subsidy, period
)
SELECT DISTINCT s.person_id, s.subsidy, month::date AS period, s.amount_fen, p.live_fen
FROM drawn d
JOIN entitled_spans s ON s.area LIKE d.area || '%' AND s.subsidy = coalesce(d.subsidy, s.subsidy)
JOIN entitlements e ON e.person_id = s.person_id AND e.subsidy = s.subsidy AND e.told_at < d.created_at
CROSS JOIN LATERAL generate_series(
    lower(s.months)::timestamp, least(upper(s.months) - interval '1 month', d.period), interval '1 month'
) AS month
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_fen) FILTER (WHERE status IN ('pending', 'sent', 'settled')), 0) + coalesce((
               SELECT sum(o.amount_fen) FROM opening_months o
               WHERE o.person_id = s.person_id AND o.subsidy = s.subsidy AND o.period = month::date
           ), 0) AS live_fen,
           coalesce(bool_or(status IN ('pending', 'sent')), false) AS on_its_way,
           coalesce(max(greatest(settled_on, failed_on, returned_on)), '-infinity') AS last_news_on
    FROM payments
    WHERE person_id = s.person_id AND subsidy = s.subsidy AND period = month::date
) AS p
WHERE NOT p.on_its_way AND p.live_fen < s.amount_fen - coalesce((
        SELECT CASE WHEN d.whole THEN s.amount_fen ELSE d.amount_fen END FROM disallowances d
        WHERE d.person_id = s.person_id AND d.subsidy = s.subsidy AND d.period = month::date
    ), 0) AND p.last_news_on < CAST(d.created_at AS date)
  AND NOT EXISTS (
        SELECT FROM cycle_exceptions x
        WHERE x.person_id = s.person_id AND x.subsidy = s.subsidy AND x.period = month::date
    )
  AND NOT EXISTS (
        SELECT FROM withdrawn_drafts w
        WHERE s.area LIKE w.area || '%' AND s.subsidy = coalesce(w.subsidy, s.subsidy) AND month <= w.period
          AND w.withdrawn_at >= d.created_at
    )

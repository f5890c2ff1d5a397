-- Another benefit in a month that we pay for (重复享受): a lead, since the person may choose (notice 2).
WITH paid AS (
    SELECT b.person_id, b.kind, b.from_on, COALESCE(b.to_on, b.last_paid_on) AS until_on, b.feed_id, b.feed_row, e.subsidy,
        year(b.from_on) * 12 + month(b.from_on) - 1 AS first_month,
        year(COALESCE(b.to_on, b.last_paid_on)) * 12 + month(COALESCE(b.to_on, b.last_paid_on)) - 1 AS last_month
    FROM benefits b
    JOIN excluding e ON e.kind = b.kind
)
SELECT DISTINCT r.person_id, r.area, 'benefit.started' AS kind, p.from_on AS alleged_on,
    p.kind AS word, p.until_on AS until_on, p.feed_id, p.feed_row
FROM roster r
JOIN paid p ON p.person_id = r.person_id AND p.subsidy = r.subsidy
WHERE (r.to_month IS NULL OR r.to_month >= p.first_month)
    AND (p.last_month IS NULL OR r.from_month <= p.last_month)

-- Another benefit in a month that we pay for (重复享受): a lead, since the person may choose (notice 2). A month that it
-- touches is lost as a whole.
SELECT b.person_id, e.subsidy, 'benefit.started' AS kind, b.from_on AS alleged_on,
    b.from_on - CAST(day(b.from_on) - 1 AS INT) AS stops_on,
    year(COALESCE(b.to_on, b.last_paid_on)) * 12 + month(COALESCE(b.to_on, b.last_paid_on)) - 1 AS last_month,
    b.kind AS word, COALESCE(b.to_on, b.last_paid_on) AS until_on, b.feed_id, b.feed_row
FROM benefits b
JOIN excluding e ON e.kind = b.kind

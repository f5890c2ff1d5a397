-- Left dibao or the dibao borderline (退出低保), notice 3: only living rests on it, and only who is in no other category
-- on the day after. What civil affairs itself stated is a fact already and is not opened as a lead.
WITH ended AS (
    SELECT person_id, category, feed_id, feed_row, LEAST(COALESCE(to_on, last_paid_on), COALESCE(last_paid_on, to_on)) + 1
        AS exited_on
    FROM low_income
    WHERE to_on IS NOT NULL OR last_paid_on IS NOT NULL
),
lasting AS (
    SELECT person_id, COALESCE(from_on, as_of) AS entered_on
    FROM low_income
    WHERE to_on IS NULL AND last_paid_on IS NULL AND category <> 'monitored'
)
SELECT e.person_id, 'living' AS subsidy, 'low_income.exited' AS kind, e.exited_on AS alleged_on,
    e.exited_on AS stops_on, CAST(NULL AS INT) AS last_month,
    e.category AS word, CAST(NULL AS DATE) AS until_on, e.feed_id, e.feed_row
FROM ended e
WHERE e.category <> 'monitored'
    AND NOT EXISTS (
        SELECT 1 FROM lasting l WHERE l.person_id = e.person_id AND l.entered_on >= e.exited_on
    )

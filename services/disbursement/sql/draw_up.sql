-- Draws up a cycle: a payment for what is due of every month in its area, an exception for what something stands in the
-- way of. A month whose payment is drawn up or with the bank waits for what becomes of it.
WITH scope AS (
    SELECT DISTINCT person_id, subsidy
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) AND lower(months) <= CAST(:upto AS date)
),
/* months */,
due AS (
    SELECT *, entitled_fen - paid_fen AS due_fen
    FROM judged
    WHERE area LIKE :area || '%' AND entitled_fen > paid_fen AND sent_fen + pending_fen = 0
),
drawn AS (
    INSERT INTO payments (payment_id, period, person_id, subsidy, attempt, cycle_id, area, level,
                          amount_fen, entitled_fen, paid_before_fen)
    SELECT payment_id(person_id, subsidy, period, attempts + 1), period, person_id, subsidy, attempts + 1, CAST(:cycle_id AS uuid),
           area, level, due_fen, entitled_fen, paid_fen
    FROM due
    WHERE hold_kind IS NULL AND obstacle IS NULL
    ORDER BY period, person_id
)
INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id)
SELECT CAST(:cycle_id AS uuid), person_id, subsidy, period, due_fen,
       CASE WHEN hold_kind IS NULL THEN 'unpayable' ELSE 'held' END, coalesce(hold_kind, obstacle), finding_id
FROM due
WHERE hold_kind IS NOT NULL OR obstacle IS NOT NULL

-- Takes out of a cycle what was held, reduced, moved or left without an account since it was drawn up; never adds.
-- It may be narrowed to some payments; else it takes all that are not sent yet.
WITH candidates AS (
    SELECT p.payment_id, p.period, p.person_id, p.subsidy, p.amount_fen, c.area AS cycle_area
    FROM payments p
    JOIN cycles c USING (cycle_id)
    WHERE p.cycle_id = :cycle_id AND p.status = 'pending' AND p.period BETWEEN CAST(:since AS date) AND CAST(:upto AS date)
      AND (CAST(:payment_ids AS uuid[]) IS NULL OR p.payment_id = ANY(CAST(:payment_ids AS uuid[])))
),
scope AS (
    SELECT DISTINCT person_id, subsidy FROM candidates
),
/* months */,
/* judged */,
stopped AS (
    SELECT c.payment_id, c.period, j.finding_id,
           CASE
               WHEN j.hold_kind IS NOT NULL THEN j.hold_kind
               WHEN j.obstacle IS NOT NULL THEN j.obstacle
               WHEN j.entitled_fen - j.paid_fen < c.amount_fen THEN 'reduced'
               ELSE 'moved'
           END AS reason
    FROM candidates c
    JOIN judged j USING (person_id, subsidy, period)
    WHERE j.hold_kind IS NOT NULL OR j.obstacle IS NOT NULL
       OR j.entitled_fen - j.paid_fen < c.amount_fen OR j.area NOT LIKE c.cycle_area || '%'
),
dropped AS (
    DELETE FROM payments p
    USING stopped s
    WHERE p.payment_id = s.payment_id AND p.period = s.period AND p.status = 'pending'
    RETURNING p.person_id, p.subsidy, p.period, p.amount_fen, p.book_area, p.book_year, s.reason, s.finding_id
),
noted AS (
    INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id)
    SELECT CAST(:cycle_id AS uuid), person_id, subsidy, period, amount_fen, 'dropped', reason, finding_id FROM dropped
)
SELECT book_area, subsidy, book_year, count(*) AS payments, sum(amount_fen)::bigint AS amount_fen
FROM dropped
GROUP BY book_area, subsidy, book_year

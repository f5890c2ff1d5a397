-- Takes out of a cycle what was held, reduced, moved or left without an account since it was drawn up, and what another
-- payment is on its way for: of two ids that turned out to be one person's, each had one. It never adds.
-- It may be narrowed to some payments; else it takes all that are not sent yet.
WITH candidates AS (
    SELECT p.payment_id, p.period, p.person_id, p.subsidy, p.attempt, p.amount_fen, c.area AS cycle_area
    FROM payments p
    JOIN cycles c USING (cycle_id)
    WHERE p.cycle_id = :cycle_id AND p.status = 'pending' AND p.period BETWEEN CAST(:since AS date) AND CAST(:upto AS date)
      AND (CAST(:payment_ids AS uuid[]) IS NULL OR p.payment_id = ANY(CAST(:payment_ids AS uuid[])))
),
scope AS (
    SELECT DISTINCT person_id, subsidy FROM candidates
),
/* months */,
/* holds */,
stopped AS (
    SELECT c.payment_id, c.period, h.finding_id,
           CASE
               WHEN h.hold_kind IS NOT NULL THEN h.hold_kind
               WHEN y.obstacle IS NOT NULL THEN y.obstacle
               WHEN m.entitled_fen - m.paid_fen < c.amount_fen THEN 'reduced'
               WHEN m.area NOT LIKE c.cycle_area || '%' THEN 'moved'
               ELSE 'on_its_way'
           END AS reason
    FROM candidates c
    JOIN months m USING (person_id, subsidy, period)
    LEFT JOIN holds h ON h.person_id = c.person_id AND h.subsidy = c.subsidy AND h.hold_from <= c.period
    -- Not the view of all who are unpayable: of a month that has no statistics yet it would be read payment by payment.
    LEFT JOIN payable_to y ON y.person_id = c.person_id
    WHERE h.hold_kind IS NOT NULL OR y.obstacle IS NOT NULL
       OR m.entitled_fen - m.paid_fen < c.amount_fen OR m.area NOT LIKE c.cycle_area || '%'
       OR m.sent_fen > 0
       OR m.pending_fen > c.amount_fen AND EXISTS (
              SELECT FROM payments o
              WHERE o.person_id = c.person_id AND o.subsidy = c.subsidy AND o.period = c.period
                AND o.status = 'pending' AND o.attempt < c.attempt
          )
),
dropped AS (
    DELETE FROM payments p
    USING stopped s
    WHERE p.payment_id = s.payment_id AND p.period = s.period AND p.status = 'pending'
    RETURNING p.person_id, p.subsidy, p.period, p.amount_fen, p.book_area, p.book_year, s.reason, s.finding_id
),
noted AS (
    INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason, finding_id)
    -- Of two payments of a month the cycle names what became of the last.
    SELECT DISTINCT ON (person_id, subsidy, period) CAST(:cycle_id AS uuid), person_id, subsidy, period, amount_fen,
           'dropped', reason, finding_id
    FROM dropped
    ORDER BY person_id, subsidy, period, reason = 'on_its_way'
    ON CONFLICT (cycle_id, person_id, subsidy, period) DO UPDATE
        SET amount_fen = excluded.amount_fen, reason = excluded.reason, finding_id = excluded.finding_id
)
SELECT book_area, subsidy, book_year, count(*) AS payments, sum(amount_fen)::bigint AS amount_fen
FROM dropped
GROUP BY book_area, subsidy, book_year

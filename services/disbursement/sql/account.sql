-- Every month of one person, entitled or paid.
WITH scope AS (
    SELECT person_id, subsidy FROM entitlements WHERE person_id = :person_id
    UNION
    SELECT person_id, subsidy FROM payments WHERE person_id = :person_id
    UNION
    SELECT person_id, subsidy FROM openings WHERE person_id = :person_id
),
/* months */,
/* judged */
SELECT subsidy, period, entitled_fen, paid_fen, offset_fen, sent_fen, pending_fen, hold_kind, obstacle
FROM judged
ORDER BY period, subsidy DESC

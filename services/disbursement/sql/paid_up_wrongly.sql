-- Months that are due or on their way although everything up to them is noted as paid.
WITH scope AS (
    SELECT person_id, subsidy, paid_up_to FROM entitlements WHERE paid_up_to > '-infinity'
),
/* months */
SELECT person_id, subsidy, period, entitled_fen, paid_fen, on_its_way, paid_up_to
FROM months
JOIN scope USING (person_id, subsidy)
WHERE period <= paid_up_to AND (entitled_fen > paid_fen OR on_its_way)

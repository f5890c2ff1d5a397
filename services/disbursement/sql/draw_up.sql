-- Draws up a cycle's months from since to upto, into a table of its own: what is due of every month in its area, as a
-- payment or, where something stands in the way of it (outcome), an exception. A month whose payment is drawn up or with
-- the bank waits for what becomes of it. Of months before its own only those who are behind are looked at
-- (entitlements.paid_up_to).
-- The outcome comes first, for every row is asked for it (sql/except_drawn.sql).
-- A table, for a query that is inserted is not planned for several processors; and `scope` is written out wherever it is
-- used, for workers cannot read what the leader keeps.
CREATE /* table */ AS
WITH scope AS NOT MATERIALIZED (
    SELECT person_id, subsidy
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) /* behind */
),
/* entitled_and_recorded */,
/* judged */
SELECT CASE WHEN hold_kind IS NOT NULL THEN 'held' WHEN obstacle IS NOT NULL THEN 'unpayable' END AS outcome,
       payment_id(person_id, subsidy, period, attempts + 1) AS payment_id, period, person_id, subsidy,
       attempts + 1 AS attempt, CAST(:cycle_id AS uuid) AS cycle_id, area, level,
       entitled_fen - paid_fen AS amount_fen, CAST(0 AS bigint) AS offset_fen, CAST(NULL AS uuid) AS offset_recovery_id,
       entitled_fen, paid_fen AS paid_before_fen, version AS entitlement_version,
       coalesce(hold_kind, obstacle) AS reason, finding_id
FROM judged
WHERE area LIKE :area || '%' AND entitled_fen > paid_fen AND NOT on_its_way

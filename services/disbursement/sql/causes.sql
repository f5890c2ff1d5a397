-- Everything that made one month of one person what it is, oldest first: what was told of it, what was decided, what was
-- paid and what the bank said, what was booked and what differed.
WITH ids AS (
    -- A resident ID may have been corrected: it was told and booked under the one of that day.
    SELECT CAST(:person_id AS text) AS person_id
    UNION ALL
    SELECT person_id FROM merged_persons WHERE into_person_id = :person_id
),
mine AS (
    SELECT p.*, c.area AS cycle_area, c.period AS cycle_period, c.created_at, c.created_by, c.concurred_by, c.approved_by,
           c.requested_by, b.accepted_at, b.prepared_at
    FROM payments p
    JOIN cycles c USING (cycle_id)
    LEFT JOIN batches b USING (batch_id)
    WHERE p.person_id = :person_id AND p.subsidy = :subsidy AND p.period = CAST(:period AS date)
),
claims AS (
    SELECT r.*, m.claimed_fen, m.repaid_fen
    FROM recoveries r
    JOIN recovery_months m USING (recovery_id)
    WHERE r.person_id = :person_id AND r.subsidy = :subsidy AND m.period = CAST(:period AS date)
)
SELECT at, what, amount_fen, says, by, reference
FROM (
    SELECT v.told_at AS at, 'entitlement.told' AS what, CAST(NULL AS bigint) AS amount_fen,
           coalesce(v.stopped_because, v.cause) AS says, CAST(NULL AS text) AS by, 'version ' || v.version AS reference
    FROM entitlement_versions v
    WHERE v.person_id IN (SELECT person_id FROM ids) AND v.subsidy = :subsidy
    UNION ALL
    SELECT e.told_at, 'month.entitled', s.amount_fen, s.cause, NULL, s.policy_version
    FROM entitled_spans s
    JOIN entitlements e USING (person_id, subsidy)
    WHERE s.person_id = :person_id AND s.subsidy = :subsidy AND s.months @> CAST(:period AS date)
    UNION ALL
    SELECT entered_at, 'opening.entered', amount_fen, NULL, NULL, import_id::text
    FROM openings
    WHERE person_id = :person_id AND subsidy = :subsidy AND months @> CAST(:period AS date)
    UNION ALL
    SELECT told_at, 'finding.' || status, NULL, kind, NULL, finding_id::text
    FROM findings
    WHERE person_id = :person_id AND :subsidy = ANY(subsidies) AND hold_from <= CAST(:period AS date)
    UNION ALL
    SELECT c.created_at, 'cycle.' || x.outcome, x.amount_fen, x.reason, c.created_by, c.cycle_id::text
    FROM cycle_exceptions x
    JOIN cycles c USING (cycle_id)
    WHERE x.person_id = :person_id AND x.subsidy = :subsidy AND x.period = CAST(:period AS date)
    UNION ALL
    SELECT m.created_at, 'payment.drawn_up', m.amount_fen,
           'version ' || m.entitlement_version,
           concat_ws(' → ', m.created_by, m.concurred_by, m.approved_by, m.requested_by), m.payment_id::text
    FROM mine m
    UNION ALL
    SELECT coalesce(accepted_at, prepared_at), 'payment.sent', amount_fen - offset_fen, holder, NULL, batch_id::text
    FROM mine
    WHERE batch_id IS NOT NULL
    UNION ALL
    SELECT b.booked_at, 'booked.' || b.cause, b.amount_fen, CASE WHEN b.cause IN ('failure', 'return') THEN m.code END, b.told_by, coalesce(m.bank_ref, b.cause_id)
    FROM postings b
    JOIN mine m ON b.cause_id = m.payment_id::text
    WHERE b.person_id IN (SELECT person_id FROM ids)
    UNION ALL
    SELECT s.sent_at, CASE WHEN s.missing = '{}' THEN 'sms.complete' ELSE 'sms.incomplete' END, NULL,
           array_to_string(s.missing, ' '), NULL, m.payment_id::text
    FROM sms_receipts s
    JOIN mine m USING (payment_id)
    UNION ALL
    SELECT decided_at, 'month.disallowed', amount_fen, cause, decided_by, reason
    FROM disallowances
    WHERE person_id = :person_id AND subsidy = :subsidy AND period = CAST(:period AS date)
    UNION ALL
    SELECT opened_on::timestamptz, 'recovery.' || status, claimed_fen, cause, NULL, recovery_id::text
    FROM claims
    UNION ALL
    SELECT y.recorded_at, CASE WHEN y.reversed_on IS NULL THEN 'recovery.repaid' ELSE 'recovery.reversed' END, y.amount_fen,
           CASE WHEN y.payment_id IS NULL THEN 'repaid' ELSE 'offset' END, y.recorded_by, y.document_no
    FROM repayments y
    JOIN claims USING (recovery_id)
    UNION ALL
    SELECT w.approved_at, 'recovery.written_off', w.amount_fen, w.reason, concat_ws(' → ', w.proposed_by, w.approved_by),
           w.write_off_id::text
    FROM write_offs w
    JOIN claims USING (recovery_id)
    WHERE w.approved_at IS NOT NULL
    UNION ALL
    SELECT k.opened_at, 'case.opened', NULL, k.kind, NULL, k.case_id::text
    FROM cases k
    WHERE k.payment_id IN (SELECT payment_id FROM mine)
       OR k.person_id = :person_id AND k.period = CAST(:period AS date) AND k.detail ->> 'subsidy' = :subsidy
    UNION ALL
    SELECT k.resolved_at, 'case.resolved', NULL, k.resolution, k.resolved_by, k.case_id::text
    FROM cases k
    WHERE k.resolved_at IS NOT NULL AND (k.payment_id IN (SELECT payment_id FROM mine)
       OR k.person_id = :person_id AND k.period = CAST(:period AS date) AND k.detail ->> 'subsidy' = :subsidy)
) AS story
ORDER BY at, what, reference

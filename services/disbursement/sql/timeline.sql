-- What disbursement did about one person, newest first.
SELECT at, what, subsidy, period, amount_fen, state, reference
FROM (
    SELECT told_at AS at, 'entitlement.changed' AS what, subsidy, CAST(NULL AS date) AS period,
           CAST(NULL AS bigint) AS amount_fen, coalesce(stopped_because, cause) AS state, version::text AS reference
    FROM entitlements WHERE person_id = :person_id
    UNION ALL
    SELECT told_at, concat('finding.', status), NULL, hold_from, NULL, kind, finding_id::text
    FROM findings WHERE person_id = :person_id
    UNION ALL
    SELECT coalesce(b.prepared_at, c.created_at), concat('payment.', p.status), p.subsidy, p.period, p.amount_fen,
           p.code, p.payment_id::text
    FROM payments p JOIN cycles c USING (cycle_id) LEFT JOIN batches b USING (batch_id)
    WHERE p.person_id = :person_id
    UNION ALL
    SELECT entered_at, 'opening.entered', subsidy, lower(months), amount_fen,
           concat('to ', to_char(upper(months) - interval '1 month', 'YYYY-MM')), import_id::text
    FROM openings WHERE person_id = :person_id
    UNION ALL
    SELECT c.created_at, concat('cycle.', x.outcome), x.subsidy, x.period, x.amount_fen, x.reason, c.cycle_id::text
    FROM cycle_exceptions x JOIN cycles c USING (cycle_id)
    WHERE x.person_id = :person_id
    UNION ALL
    SELECT r.opened_on::timestamp AT TIME ZONE 'Asia/Shanghai', concat('recovery.', r.status), r.subsidy, NULL, sum(m.claimed_fen)::bigint,
           r.cause, r.recovery_id::text
    FROM recoveries r JOIN recovery_months m USING (recovery_id)
    WHERE r.person_id = :person_id
    GROUP BY r.recovery_id
    UNION ALL
    SELECT y.recorded_at, 'recovery.repaid', r.subsidy, NULL, y.amount_fen, y.document_no, y.repayment_id::text
    FROM repayments y JOIN recoveries r USING (recovery_id)
    WHERE r.person_id = :person_id
) AS story
ORDER BY at DESC, what
LIMIT 1000

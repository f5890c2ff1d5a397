-- Sets what was drawn up off, earlier months first, against the oldest recovery of its person and subsidy that may be.
WITH offsettable AS (
    -- What of it no payment on its way will set off already.
    SELECT DISTINCT ON (r.person_id, r.subsidy) r.person_id, r.subsidy, r.recovery_id, r.offset_percent,
           m.outstanding_fen - coalesce(w.offset_fen, 0) AS free_fen
    FROM recoveries r
    CROSS JOIN LATERAL (
        SELECT sum(claimed_fen - repaid_fen - written_off_fen) AS outstanding_fen
        FROM recovery_months WHERE recovery_id = r.recovery_id
    ) AS m
    CROSS JOIN LATERAL (
        SELECT sum(offset_fen) AS offset_fen FROM payments
        WHERE person_id = r.person_id AND subsidy = r.subsidy AND offset_recovery_id = r.recovery_id
          AND status IN ('pending', 'sent')
    ) AS w
    WHERE r.status = 'open' AND r.offset_percent > 0
    ORDER BY r.person_id, r.subsidy, r.recovery_id
),
shared AS (
    SELECT payment_id, recovery_id,
           greatest(least(share_fen, free_fen - coalesce(sum(share_fen) OVER earlier, 0)), 0)::bigint AS kept_fen
    FROM (
        SELECT *, amount_fen * offset_percent / 100 AS share_fen
        FROM /* drawn */
        JOIN offsettable USING (person_id, subsidy)
    ) AS payable
    WINDOW earlier AS (PARTITION BY person_id, subsidy ORDER BY period
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
UPDATE /* drawn */ AS d
SET offset_fen = kept_fen, offset_recovery_id = recovery_id
FROM shared s
WHERE s.payment_id = d.payment_id AND kept_fen > 0

-- How some cycles differ from the bank's statement, its SMS and the ledger: nothing when they agree. An SMS is missed
-- only when it is due, and only of a bank that can tell of it.
WITH ours AS (
    SELECT p.*, c.area AS cycle_area, c.channel
    FROM payments p
    JOIN cycles c USING (cycle_id)
    WHERE p.cycle_id = ANY(CAST(:cycle_ids AS uuid[])) AND p.status <> 'pending'
),
found AS (
    SELECT 'not_on_statement' AS kind, o.payment_id, '{}'::jsonb AS detail
    FROM ours o LEFT JOIN statement_lines l USING (payment_id)
    WHERE l.payment_id IS NULL
    UNION ALL
    SELECT 'amount_differs', o.payment_id, jsonb_build_object('ours_fen', o.amount_fen - o.offset_fen, 'bank_fen', l.amount_fen)
    FROM ours o JOIN statement_lines l USING (payment_id)
    WHERE l.amount_fen <> o.amount_fen - o.offset_fen
    UNION ALL
    SELECT 'status_differs', o.payment_id, jsonb_build_object('ours', o.status, 'bank', l.status)
    FROM ours o JOIN statement_lines l USING (payment_id)
    WHERE l.status <> CASE o.status WHEN 'sent' THEN 'accepted' ELSE o.status END
    UNION ALL
    SELECT 'sms_missing', o.payment_id, '{}'
    FROM ours o LEFT JOIN sms_receipts s USING (payment_id)
    WHERE o.status IN ('settled', 'returned') AND s.payment_id IS NULL AND o.channel = 'rest'
      AND CAST(:sms_is_due AS boolean)
    UNION ALL
    SELECT 'sms_incomplete', o.payment_id, jsonb_build_object('missing', to_jsonb(s.missing))
    FROM ours o JOIN sms_receipts s USING (payment_id)
    WHERE s.missing <> '{}'
    UNION ALL
    SELECT 'not_in_ledger', o.payment_id, jsonb_build_object('status', o.status)
    FROM ours o
    WHERE o.status <> 'sent' AND NOT EXISTS (
        SELECT FROM postings
        WHERE cause = CASE o.status WHEN 'settled' THEN 'settlement' WHEN 'failed' THEN 'failure' ELSE 'return' END
          AND cause_id = o.payment_id::text AND amount_fen = o.amount_fen
    )
)
SELECT f.kind, f.payment_id::text AS subject, f.payment_id, o.cycle_area AS area, o.period, o.person_id, o.cycle_id,
       f.detail || jsonb_build_object('amount_fen', o.amount_fen) AS detail
FROM found f
JOIN ours o USING (payment_id)
UNION ALL
SELECT 'not_ours', l.payment_id::text, l.payment_id, c.area, c.period, NULL, c.cycle_id,
       jsonb_build_object('bank_fen', l.amount_fen, 'bank', l.status)
FROM statement_lines l
JOIN batches b USING (batch_id)
JOIN cycles c USING (cycle_id)
WHERE b.cycle_id = ANY(CAST(:cycle_ids AS uuid[]))
  AND NOT EXISTS (SELECT FROM payments p WHERE p.payment_id = l.payment_id)

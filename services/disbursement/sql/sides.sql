-- What each side says of the cycles of a period in an area: payments, ledger, statement and SMS by count and fen, and a
-- digest over every line of them.
WITH ours AS (
    SELECT p.*
    FROM payments p
    JOIN cycles c USING (cycle_id)
    WHERE c.area LIKE :area || '%' AND c.period = CAST(:period AS date) AND p.status <> 'pending'
),
lines AS (
    SELECT payment_id, concat_ws('|', payment_id, person_id, subsidy, period, o.amount_fen, o.offset_fen, o.status, o.bank_ref,
                                 l.status, l.amount_fen, l.bank_ref, s.missing) AS line
    FROM ours o
    LEFT JOIN statement_lines l USING (payment_id)
    LEFT JOIN sms_receipts s USING (payment_id)
),
by_side AS (
    SELECT 'payments' AS side, status AS word, count(*) AS lines, sum(amount_fen - offset_fen)::bigint AS fen
    FROM ours GROUP BY status
    UNION ALL
    SELECT 'ledger', cause, count(*), sum(b.amount_fen)::bigint
    FROM postings b JOIN ours o ON b.cause_id = o.payment_id::text
    WHERE cause IN ('settlement', 'failure', 'return') GROUP BY cause
    UNION ALL
    SELECT 'statement', l.status, count(*), sum(l.amount_fen)::bigint
    FROM statement_lines l JOIN ours USING (payment_id) GROUP BY l.status
    UNION ALL
    SELECT 'sms', CASE WHEN missing = '{}' THEN 'complete' ELSE 'incomplete' END, count(*), NULL
    FROM sms_receipts JOIN ours USING (payment_id) GROUP BY 2
)
SELECT coalesce((SELECT jsonb_object_agg(side, words) FROM (
           SELECT side, jsonb_object_agg(word, jsonb_strip_nulls(jsonb_build_object('lines', lines, 'fen', fen))) AS words
           FROM by_side GROUP BY side) AS sides), '{}') AS sides,
       (SELECT encode(sha256(convert_to(coalesce(string_agg(line, E'\n' ORDER BY payment_id), ''), 'UTF8')), 'hex')
        FROM lines) AS lines_digest

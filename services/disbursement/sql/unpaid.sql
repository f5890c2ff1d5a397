-- Entitled months of an area that are due with nothing in the way and nothing on its way, and accounts that several
-- persons share, one of them in the area, without being an institution's.
WITH scope AS (
    SELECT DISTINCT person_id, subsidy
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND lower(months) <= CAST(:upto AS date)
),
/* months */,
/* judged */
SELECT 'due_unpaid' AS kind, concat_ws('/', person_id, subsidy, to_char(period, 'YYYY-MM')) AS subject,
       CAST(NULL AS uuid) AS payment_id, area, period, person_id, CAST(NULL AS uuid) AS cycle_id,
       jsonb_build_object('subsidy', subsidy, 'amount_fen', entitled_fen - paid_fen) AS detail
FROM judged
WHERE area LIKE :area || '%' AND entitled_fen > paid_fen + sent_fen + pending_fen
  AND hold_kind IS NULL AND obstacle IS NULL
UNION ALL
SELECT 'account_shared', number_token, NULL, min(area) FILTER (WHERE area LIKE :area || '%'), NULL, NULL, NULL,
       jsonb_build_object('persons', count(*), 'last4', min(number_last4))
FROM payees
WHERE holder <> 'institution' AND number_token IN (
    SELECT number_token FROM payees WHERE number_token IS NOT NULL AND area LIKE :area || '%'
)
GROUP BY number_token
HAVING count(*) > 1

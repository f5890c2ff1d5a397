-- What was claimed back and what became of it, by cause: decisions by theirs; facts that came late are late reports.
SELECT CASE
           WHEN r.cause IN ('fraud', 'late_report', 'error') THEN r.cause
           WHEN r.cause IN ('never_entitled', 'policy.changed', 'fact.retracted') THEN 'error'
           ELSE 'late_report'
       END AS cause,
       r.cause AS detail,
       count(*) AS cases,
       count(*) FILTER (WHERE r.status = 'open') AS open_cases,
       count(DISTINCT r.person_id) AS persons,
       sum(m.claimed_fen)::bigint AS claimed_fen,
       sum(m.repaid_fen)::bigint AS recovered_fen,
       coalesce(sum(o.offset_fen), 0)::bigint AS of_it_offset_fen,
       sum(m.written_off_fen)::bigint AS written_off_fen,
       sum(m.claimed_fen - m.repaid_fen - m.written_off_fen)::bigint AS open_fen
FROM recoveries r
CROSS JOIN LATERAL (
    SELECT sum(claimed_fen) AS claimed_fen, sum(repaid_fen) AS repaid_fen, sum(written_off_fen) AS written_off_fen
    FROM recovery_months WHERE recovery_id = r.recovery_id
) AS m
CROSS JOIN LATERAL (
    SELECT sum(amount_fen) AS offset_fen
    FROM repayments WHERE recovery_id = r.recovery_id AND payment_id IS NOT NULL AND reversed_on IS NULL
) AS o
WHERE r.area LIKE :area || '%' AND (CAST(:year AS int) IS NULL OR extract(year FROM r.opened_on) = :year)
GROUP BY 1, 2
ORDER BY 1, 2

-- Gone from the federation's register (残疾人证名册中消失), notice 3: with a certificate in force in the snapshot compared
-- before, and in no row of today's, read or not. It left with its holder or was struck off: which, the verification finds out.
WITH gone AS (
    SELECT b.person_id, b.feed_id, b.feed_row
    FROM certificates_before b
    WHERE b.status = 'valid'
        AND NOT EXISTS (SELECT 1 FROM certificates n WHERE n.person_id = b.person_id)
        AND NOT EXISTS (SELECT 1 FROM certificates_unread u WHERE u.person_id = b.person_id)
),
missed AS (
    SELECT MAX(n.as_of) AS missed_on FROM certificates_now n
)
SELECT g.person_id, CAST(NULL AS STRING) AS subsidy, 'certificate.moved_out' AS kind, m.missed_on AS alleged_on,
    m.missed_on AS stops_on, CAST(NULL AS INT) AS last_month,
    CAST(NULL AS STRING) AS word, CAST(NULL AS DATE) AS until_on, g.feed_id, g.feed_row
FROM gone g
CROSS JOIN missed m

-- Certificates moved out, expired, frozen or cancelled (残疾人证状态变化), notice 3: by each person's latest row. Of one day
-- that of the certificate issued last: an old one is cancelled as a new one is issued. What the federation itself stated
-- is a fact already and is not opened as a lead.
WITH doubtful AS (  -- few: the rest need not be put in order
    SELECT c.person_id
    FROM certificates c
    CROSS JOIN run
    WHERE c.status <> 'valid' OR c.expires_on < run.as_of
),
latest AS (
    SELECT c.*, row_number() OVER (
        PARTITION BY c.person_id
        ORDER BY c.as_of DESC, c.issued_on DESC NULLS LAST, c.changed_on DESC NULLS LAST, c.feed_id DESC, c.feed_row DESC
    ) AS place
    FROM certificates c
    WHERE c.person_id IN (SELECT d.person_id FROM doubtful d)
),
lapsed AS (
    SELECT l.person_id, l.feed_id, l.feed_row,
        CASE WHEN l.status = 'valid' THEN 'expired' ELSE l.status END AS status,
        CASE WHEN l.status = 'valid' THEN l.expires_on + 1
            ELSE COALESCE(l.changed_on, CASE WHEN l.status = 'expired' THEN l.expires_on + 1 END, l.as_of)
        END AS lapsed_on
    FROM latest l
    CROSS JOIN run
    WHERE l.place = 1 AND (l.status <> 'valid' OR l.expires_on < run.as_of)
)
SELECT l.person_id, CAST(NULL AS STRING) AS subsidy,
    CASE WHEN l.status = 'in_transit' THEN 'certificate.moved_out' ELSE concat('certificate.', l.status) END AS kind,
    l.lapsed_on AS alleged_on, l.lapsed_on AS stops_on, CAST(NULL AS INT) AS last_month,
    CASE WHEN l.status = 'in_transit' THEN l.status END AS word, CAST(NULL AS DATE) AS until_on, l.feed_id, l.feed_row
FROM lapsed l

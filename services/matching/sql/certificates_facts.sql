-- What the federation's feed says that was not known of certificates: its own word is a fact (notice 3).
-- `known`: the certificate facts so far. A status counts by its day; a row older than what is known changes no status.
WITH issues AS (
    SELECT k.*, row_number() OVER (PARTITION BY k.person_id ORDER BY k.occurred_on DESC, k.known_at DESC) AS place
    FROM known k
    WHERE k.kind IN ('certificate.issued', 'certificate.renewed', 'certificate.reassessed')
),
changes AS (
    SELECT k.*, row_number() OVER (PARTITION BY k.person_id ORDER BY k.occurred_on DESC, k.known_at DESC) AS place
    FROM known k
),
held AS (
    SELECT c.person_id, c.occurred_on AS changed_on, i.occurred_on AS issued_on, i.category, i.level, i.expires_on,
        CASE
            WHEN c.kind = 'certificate.moved_out' AND c.in_transit THEN 'in_transit'
            WHEN c.kind IN ('certificate.expired', 'certificate.frozen', 'certificate.cancelled',
                'certificate.moved_out') THEN substring(c.kind, 13, 20)
            ELSE 'valid'
        END AS status
    FROM changes c
    LEFT JOIN issues i ON i.person_id = c.person_id AND i.place = 1
    WHERE c.place = 1
),
told AS (
    SELECT f.*, row_number() OVER (
        PARTITION BY f.person_id ORDER BY f.issued_on DESC NULLS LAST, f.changed_on DESC NULLS LAST, f.status, f.feed_row
    ) AS place
    FROM feed f
),
compared AS (
    SELECT t.person_id, t.category, t.level, t.expires_on, t.cause, t.area, t.status, t.as_of, t.issued_on,
        t.changed_on, h.changed_on AS held_changed_on, h.issued_on AS held_issued_on,
        CASE
            WHEN t.status = 'valid' AND h.issued_on IS NULL THEN 'certificate.issued'
            WHEN t.status = 'valid' AND t.as_of < h.changed_on THEN NULL
            WHEN t.status = 'valid' AND (t.level <> h.level OR t.category <> h.category) THEN 'certificate.reassessed'
            WHEN t.status = 'valid' AND t.issued_on > h.issued_on THEN 'certificate.renewed'
            WHEN t.status = 'valid' AND t.expires_on IS NOT NULL AND t.expires_on IS DISTINCT FROM h.expires_on
                THEN 'certificate.renewed'
            WHEN t.status = 'valid' AND h.status = 'frozen' AND t.as_of > h.changed_on THEN 'certificate.unfrozen'
            WHEN t.status = 'valid' AND h.status <> 'valid' AND t.as_of > h.changed_on THEN 'certificate.renewed'
            WHEN t.status = 'valid' OR t.status = h.status THEN NULL
            WHEN t.status = 'in_transit' THEN 'certificate.moved_out'
            ELSE concat('certificate.', t.status)
        END AS kind
    FROM told t
    LEFT JOIN held h ON h.person_id = t.person_id
    WHERE t.place = 1
),
dated AS (
    SELECT c.*,
        CASE
            WHEN c.kind = 'certificate.issued' THEN COALESCE(c.issued_on, c.changed_on, c.as_of)
            WHEN c.kind = 'certificate.reassessed'  -- without a day of its own it is not of old: a level counts from then on
                THEN CASE
                    WHEN c.changed_on > c.held_issued_on AND c.changed_on <> c.held_changed_on THEN c.changed_on
                    WHEN c.issued_on > c.held_issued_on THEN c.issued_on
                    ELSE c.as_of
                END
            WHEN c.kind IN ('certificate.renewed', 'certificate.unfrozen')
                THEN CASE
                    WHEN c.issued_on > c.held_issued_on THEN c.issued_on
                    WHEN c.changed_on > c.held_changed_on THEN c.changed_on
                    WHEN c.held_changed_on > c.held_issued_on THEN c.as_of
                    ELSE c.held_issued_on
                END
            ELSE COALESCE(c.changed_on, CASE WHEN c.status = 'expired' THEN c.expires_on + 1 END, c.as_of)
        END AS occurred_on
    FROM compared c
    WHERE c.kind IS NOT NULL
)
SELECT d.person_id, d.kind, d.occurred_on, d.category, d.level, d.expires_on, d.cause,
    d.status = 'in_transit' AS in_transit, d.area
FROM dated d
WHERE NOT EXISTS (
    SELECT 1 FROM known k
    WHERE k.person_id = d.person_id AND k.kind = d.kind AND k.occurred_on = d.occurred_on
        AND (d.kind NOT IN ('certificate.issued', 'certificate.renewed', 'certificate.reassessed')
            OR (k.category = d.category AND k.level = d.level AND k.expires_on IS NOT DISTINCT FROM d.expires_on))
)

-- Notes that everything up to a month is paid: to those of an area of whom no month from since to upto is due or on its
-- way, and of whom that is noted of every month before. Whose row changed meanwhile is left for the next time (xmin).
WITH scope AS (
    SELECT DISTINCT person_id, subsidy, CAST(CAST(e.xmin AS text) AS bigint) AS seen
    FROM entitled_spans s
    JOIN entitlements e USING (person_id, subsidy)
    WHERE s.area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) AND lower(s.months) <= CAST(:upto AS date)
      AND e.paid_up_to < CAST(:upto AS date) AND e.paid_up_to >= CAST(:since AS date) - interval '1 month'
),
/* months */,
behind AS (
    SELECT DISTINCT person_id, subsidy FROM months WHERE entitled_fen > paid_fen OR on_its_way
)
UPDATE entitlements e
SET paid_up_to = CAST(:upto AS date)
FROM scope s
WHERE e.person_id = s.person_id AND e.subsidy = s.subsidy AND CAST(CAST(e.xmin AS text) AS bigint) = s.seen
  AND NOT EXISTS (SELECT FROM behind b WHERE b.person_id = s.person_id AND b.subsidy = s.subsidy)

-- The roster of an area (花名册、台账): every run of months at one amount, of this year or reaching into it. A county pays;
-- `area` is the township in it where the person lives.
SELECT s.person_id, s.subsidy, CASE WHEN starts_with(e.area, s.area) THEN e.area ELSE s.area END AS area,
       s.level, s.category, s.amount_fen, lower(s.months) AS first,
       (upper(s.months) - interval '1 month')::date AS last, e.stopped_because, e.cause,
       y.person_name, y.certificate_number, t.holder, t.holder_name, t.number_last4,
       coalesce((
           SELECT sum(p.amount_fen - p.offset_fen) FROM payments p
           WHERE p.person_id = s.person_id AND p.subsidy = s.subsidy AND p.status = 'settled'
             AND s.months @> p.period AND p.period BETWEEN CAST(:first AS date) AND CAST(:upto AS date)
       ), 0)::bigint + coalesce((
           SELECT sum(o.amount_fen) FROM opening_months o
           WHERE o.person_id = s.person_id AND o.subsidy = s.subsidy
             AND s.months @> o.period AND o.period BETWEEN CAST(:first AS date) AND CAST(:upto AS date)
       ), 0)::bigint AS paid_fen
FROM entitled_spans s
JOIN entitlements e USING (person_id, subsidy)
LEFT JOIN payees y ON y.person_id = s.person_id
LEFT JOIN payable_to t ON t.person_id = s.person_id
WHERE (s.area LIKE :area || '%' OR starts_with(:area, s.area) AND starts_with(e.area, :area))
  AND s.months && daterange(CAST(:first AS date), CAST(:upto AS date), '[]')
ORDER BY area, s.person_id, s.subsidy DESC, s.months

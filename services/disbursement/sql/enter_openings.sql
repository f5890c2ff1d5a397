-- Enters what was paid elsewhere, but for months that are entered already: what it came to, per book.
WITH told AS (
    SELECT coalesce(m.into_person_id, person_id) AS person_id, person_id AS told_of, subsidy, first, after, amount_fen,
           area, import_id
    FROM jsonb_to_recordset(CAST(:told AS jsonb))
    AS told (person_id text, subsidy text, first date, after date, amount_fen bigint, area text, import_id uuid)
    LEFT JOIN merged_persons m USING (person_id)
),
entered AS (
    INSERT INTO openings (person_id, subsidy, months, amount_fen, area, import_id, entry_id, entered_at, told_of)
    SELECT t.person_id, t.subsidy, fresh, t.amount_fen, t.area, t.import_id, CAST(:entry_id AS uuid), :now, t.told_of
    FROM told t
    CROSS JOIN LATERAL (
        SELECT coalesce(range_agg(months), '{}') AS months FROM openings
        WHERE person_id = t.person_id AND subsidy = t.subsidy
    ) AS known
    CROSS JOIN LATERAL unnest(datemultirange(daterange(t.first, t.after)) - known.months) AS fresh
    RETURNING subsidy, months, amount_fen, area
)
SELECT left(area, 6) AS book_area, subsidy, extract(year FROM month)::integer AS book_year,
       sum(amount_fen)::bigint AS amount_fen
FROM entered
CROSS JOIN LATERAL generate_series(
    lower(months)::timestamp, upper(months) - interval '1 month', interval '1 month'
) AS month
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3

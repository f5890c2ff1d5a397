-- Common table expressions after `scope`, as sql/months.sql, of an area's one month: which it reads of the spans at once.
entitled AS (
    SELECT person_id, subsidy, CAST(:upto AS date) AS period, amount_fen, area, level, version
    FROM entitled_spans
    WHERE area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[])) AND months @> CAST(:upto AS date)
),
/* recorded */

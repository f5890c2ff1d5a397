-- How the rosters of others differ from what is entitled for a month in an area.
WITH compared AS MATERIALIZED (
/* listed_rosters */
),
listed AS (
    SELECT DISTINCT ON (c.feed_id, l.person_id, l.subsidy) c.roster, c.area AS roster_area, l.person_id, l.subsidy, l.area
    FROM compared c
    JOIN listed_persons l USING (feed_id)
    WHERE l.months @> CAST(:period AS date)
    ORDER BY c.feed_id, l.person_id, l.subsidy, l.months DESC
),
entitled AS (
    SELECT person_id, subsidy, area FROM entitled_spans WHERE months @> CAST(:period AS date)
),
found AS (
    SELECT 'not_on_' || c.roster || '_roster' AS kind, e.person_id, e.subsidy, e.area, NULL AS listed_area
    FROM compared c
    JOIN entitled e ON starts_with(e.area, c.area)
    LEFT JOIN listed l ON l.roster = c.roster AND l.roster_area = c.area
                      AND l.person_id = e.person_id AND l.subsidy = e.subsidy
    WHERE l.person_id IS NULL
    UNION ALL
    SELECT 'only_on_' || l.roster || '_roster', l.person_id, l.subsidy, coalesce(l.area, l.roster_area), NULL
    FROM listed l
    LEFT JOIN entitled e USING (person_id, subsidy)
    WHERE e.person_id IS NULL
    UNION ALL
    SELECT l.roster || '_area_differs', e.person_id, e.subsidy, e.area, l.area
    FROM listed l
    JOIN entitled e USING (person_id, subsidy)
    WHERE NOT starts_with(l.area, e.area) AND NOT starts_with(e.area, l.area)
)
SELECT DISTINCT ON (kind, person_id, subsidy)
       kind, concat_ws('/', person_id, subsidy, to_char(CAST(:period AS date), 'YYYY-MM')) AS subject,
       CAST(NULL AS uuid) AS payment_id, area, CAST(:period AS date) AS period, person_id, CAST(NULL AS uuid) AS cycle_id,
       jsonb_strip_nulls(jsonb_build_object('subsidy', subsidy, 'listed_area', listed_area)) AS detail
FROM found
WHERE area LIKE :area || '%'
ORDER BY kind, person_id, subsidy, listed_area

-- Children whose money goes to an institution from now on, but for those who are among some institution's already.
INSERT INTO institution_children (person_id, org_code, area, days, payees, recorded_by)
SELECT told.person_id, told.org_code, told.area, daterange(greatest(told.since, earlier.until), NULL),
       int8range(told.version, NULL), 'payee.changed'
FROM jsonb_to_recordset(CAST(:told AS jsonb))
     AS told (person_id text, version bigint, area text, since date, org_code text)
LEFT JOIN LATERAL (
    SELECT max(upper(c.days)) AS until, bool_or(upper_inf(c.days)) AS goes_on
    FROM institution_children AS c
    WHERE c.person_id = told.person_id
) AS earlier ON true
WHERE told.org_code IS NOT NULL AND earlier.goes_on IS NOT TRUE

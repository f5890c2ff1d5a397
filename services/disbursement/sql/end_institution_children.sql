-- Children whose money goes to their institution no more, from the day on from which it goes elsewhere.
UPDATE institution_children AS c
SET days = daterange(lower(c.days), greatest(told.since, lower(c.days) + 1)),
    payees = int8range(lower(c.payees), told.version)
FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (person_id text, version bigint, since date, org_code text)
WHERE c.person_id = told.person_id AND upper_inf(c.payees) AND c.org_code IS DISTINCT FROM told.org_code

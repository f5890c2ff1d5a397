-- Which other benefit excludes which of ours (国发〔2015〕52号; notice 2). Old-age allowance, elderly service subsidy and
-- the in-part child allowance never do.
SELECT 'orphan' AS kind, 'living' AS subsidy
UNION ALL SELECT 'unattended_child_full', 'living'
UNION ALL SELECT 'retired_cadre_living', 'living'
UNION ALL SELECT 'duty_disability_living', 'living'
UNION ALL SELECT 'other_living', 'living'
UNION ALL SELECT 'work_injury_care', 'living'
UNION ALL SELECT 'work_injury_care', 'care'
UNION ALL SELECT 'elderly_care', 'care'
UNION ALL SELECT 'retired_cadre_care', 'care'
UNION ALL SELECT 'duty_disability_care', 'care'
UNION ALL SELECT 'other_care', 'care'

-- What a roster that somebody else keeps lists, person by person, each row once. What ends
-- before it begins says nothing.
SELECT DISTINCT person_id, subsidy, area, from_on, to_on
FROM feed
WHERE to_on IS NULL OR to_on >= from_on
ORDER BY person_id, subsidy, from_on, to_on, area

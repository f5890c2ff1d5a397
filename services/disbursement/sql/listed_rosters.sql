-- The rosters of others that a period of an area is compared with: of each the newest of that month that is here whole.
SELECT DISTINCT ON (roster, area) roster, area, feed_id, as_of, persons
FROM listed_rosters r
WHERE date_trunc('month', as_of) = CAST(:period AS date) AND (starts_with(area, :area) OR starts_with(:area, area))
  AND persons = (SELECT count(DISTINCT person_id) FROM listed_persons l WHERE l.feed_id = r.feed_id)
ORDER BY roster, area, as_of DESC, feed_id DESC

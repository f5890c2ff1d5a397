-- Which budget pays: the nearest area at or above the payment's that has an appropriation, else its county's own.
UPDATE payments p
SET book_area = b.book_area, book_year = :year
FROM (
    SELECT a.area,
           coalesce(
               (SELECT x.area FROM appropriations x
                WHERE starts_with(a.area, x.area) AND x.subsidy = a.subsidy AND x.year = :year
                ORDER BY length(x.area) DESC LIMIT 1),
               left(a.area, 6)
           ) AS book_area,
           a.subsidy
    FROM (SELECT DISTINCT area, subsidy FROM payments WHERE cycle_id = :cycle_id AND status = 'pending') AS a
) AS b
WHERE p.cycle_id = :cycle_id AND p.status = 'pending' AND p.area = b.area AND p.subsidy = b.subsidy
  AND (p.book_area, p.book_year) IS DISTINCT FROM (b.book_area, :year)

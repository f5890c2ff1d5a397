-- What a cycle needs of each book, and what the book has available: of payments drawn up and not sent, from the book that
-- pays them or will (as assign_books.sql chooses it); of those sent, from the book that paid them.
SELECT n.*, coalesce(b.balance_fen, 0) + CASE WHEN :is_committed THEN n.fen ELSE 0 END AS available_fen
FROM (
    SELECT p.subsidy,
           coalesce(p.book_area, (
               SELECT x.area FROM appropriations x
               WHERE starts_with(p.area, x.area) AND x.subsidy = p.subsidy AND x.year = :year
               ORDER BY length(x.area) DESC LIMIT 1
           ), left(p.area, 6)) AS book_area,
           count(DISTINCT p.person_id) AS persons, count(*) AS months, sum(p.amount_fen)::bigint AS fen,
           coalesce(sum(p.amount_fen) FILTER (WHERE p.period < CAST(:period AS date)), 0)::bigint AS arrears_fen
    FROM payments p
    WHERE p.cycle_id = :cycle_id
    GROUP BY 1, 2
) AS n
LEFT JOIN balances b ON b.book_area = n.book_area AND b.subsidy = n.subsidy AND b.book_year = :year AND b.account = 'available'
ORDER BY n.subsidy DESC, n.book_area

-- Each book of an area with its balances, and what banks sent back into it, in fen.
SELECT book_area AS area, subsidy, book_year AS year,
       -coalesce(sum(amount_fen * side) FILTER (WHERE account = 'appropriated'), 0)::bigint AS appropriated_fen,
       -coalesce(sum(amount_fen * side) FILTER (WHERE account = 'brought_forward'), 0)::bigint AS brought_forward_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'available'), 0)::bigint AS available_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'committed'), 0)::bigint AS committed_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'clearing'), 0)::bigint AS clearing_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'paid'), 0)::bigint AS paid_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'institution_funds'), 0)::bigint AS institution_funds_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'receivable'), 0)::bigint AS receivable_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'refunded'), 0)::bigint AS refunded_fen,
       coalesce(sum(amount_fen * side) FILTER (WHERE account = 'written_off'), 0)::bigint AS written_off_fen,
       coalesce(sum(amount_fen) FILTER (WHERE side = 1 AND cause IN ('failure', 'return')), 0)::bigint AS came_back_fen
FROM (
    SELECT book_area, subsidy, book_year, cause, booked_on, debit AS account, amount_fen, 1 AS side FROM postings
    UNION ALL
    SELECT book_area, subsidy, book_year, cause, booked_on, credit, amount_fen, -1 FROM postings
) AS sides
WHERE book_area LIKE :area || '%' AND (CAST(:year AS int) IS NULL OR book_year = :year)
  AND booked_on <= CAST(:upto AS date)
GROUP BY book_area, subsidy, book_year
ORDER BY book_area, subsidy, book_year

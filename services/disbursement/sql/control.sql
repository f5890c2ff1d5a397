-- The ledger's control accounts against the payments themselves, per book.
SELECT book_area, subsidy, book_year, control, sum(ledger_fen) AS ledger_fen, sum(payments_fen) AS payments_fen
FROM (
    SELECT book_area, subsidy, book_year,
           CASE account WHEN 'committed' THEN 'pending' WHEN 'clearing' THEN 'sent' ELSE 'settled' END AS control,
           balance_fen AS ledger_fen, 0 AS payments_fen
    FROM balances
    WHERE account IN ('committed', 'clearing', 'paid', 'receivable', 'refunded', 'written_off')
    UNION ALL
    SELECT p.book_area, p.subsidy, p.book_year, p.status, 0, p.amount_fen
    FROM payments p
    JOIN cycles c USING (cycle_id)
    WHERE p.status IN ('pending', 'sent', 'settled') AND c.submitted_at IS NOT NULL
    UNION ALL
    SELECT book_area, subsidy, book_year, 'settled', 0, amount_fen FROM opening_months
) AS sides
GROUP BY book_area, subsidy, book_year, control
HAVING sum(ledger_fen) <> sum(payments_fen)

-- The books against the persons' accounts, account by account, and each person's against the payments themselves: what was
-- paid, claimed, repaid and written off is what was settled here or paid elsewhere before.
SELECT book_area, subsidy, book_year, account, CAST(NULL AS text) AS person_id, sum(book_fen) AS ledger_fen,
       sum(persons_fen) AS payments_fen
FROM (
    SELECT book_area, subsidy, book_year, account, balance_fen AS book_fen, 0 AS persons_fen
    FROM balances
    WHERE account IN ('committed', 'clearing', 'paid', 'institution_funds', 'receivable', 'refunded', 'written_off')
    UNION ALL
    SELECT book_area, subsidy, book_year, account, 0, balance_fen FROM personal_balances
) AS sides
GROUP BY book_area, subsidy, book_year, account
HAVING sum(book_fen) <> sum(persons_fen)
UNION ALL
SELECT book_area, subsidy, book_year, 'settled', person_id, sum(ledger_fen), sum(payments_fen)
FROM (
    SELECT person_id, book_area, subsidy, book_year, balance_fen AS ledger_fen, 0 AS payments_fen
    FROM personal_balances
    WHERE account NOT IN ('committed', 'clearing')
    UNION ALL
    SELECT person_id, book_area, subsidy, book_year, 0, amount_fen FROM payments WHERE status = 'settled'
    UNION ALL
    SELECT person_id, book_area, subsidy, book_year, 0, amount_fen FROM opening_months
) AS sides
GROUP BY person_id, book_area, subsidy, book_year
HAVING sum(ledger_fen) <> sum(payments_fen)

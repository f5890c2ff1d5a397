-- What the register of social security cards says of whom we pay, or who applied (notice 4.4): each card once,
-- its account as the token that intake knows accounts by.
SELECT DISTINCT f.person_id, f.bank, f.account_token AS number_token, f.status
FROM feed f
JOIN concerned c ON c.person_id = f.person_id
ORDER BY f.person_id, f.status, f.bank, f.account_token

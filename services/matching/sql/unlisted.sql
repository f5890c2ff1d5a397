-- Whom a register listed before and names no more, in no row of a whole one, read or not (notice 4.4 to 4.6).
SELECT t.person_id
FROM listed_before t
WHERE NOT EXISTS (SELECT 1 FROM feed f WHERE f.person_id = t.person_id)
    AND NOT EXISTS (SELECT 1 FROM unread u WHERE u.person_id = t.person_id)
ORDER BY t.person_id

-- Who the register of guardianships says is or was guardian of whom we pay, or who applied (notice 4.5). Nobody is their
-- own guardian.
SELECT DISTINCT f.person_id, f.guardian_person_id, f.from_on, f.to_on
FROM feed f
JOIN concerned c ON c.person_id = f.person_id
WHERE f.guardian_person_id <> f.person_id
ORDER BY f.person_id, f.from_on, f.to_on, f.guardian_person_id
